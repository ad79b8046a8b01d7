"""Compare speed and memory with what one would run instead; writes benchmarks/results.md.

    python benchmarks/run.py [--quick] [--vocabulary FOLDER]

Everything runs on random weights of GPT-2 124M in OpenAI's layout, in a temporary copy of the
project, one measurement after the other on the same machine with the same threads. All figures are
of this one run. A recipe's training is counted up from a few timed steps: each costs the same.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml
from random_checkpoint import STAND_IN_DIR, write_random_checkpoint

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
COPIED = ("stages", "src", "dvc.yaml", "params.yaml", ".dvc/config", ".dvcignore", ".gitignore")


@dataclass(frozen=True)
class Scale:
    """How much is measured."""

    targets: tuple[str, ...]  # of `dvc repro`; none for the whole pipeline
    messages: int  # the smallest number whose features are timed
    steps: int  # of a recipe that are timed, each time
    repeats: int  # of what is measured in turn, and of a start
    recipes_again: bool  # whether the recipes are timed once more, after this project
    classified: tuple[int, ...]  # at most how many messages of the hold-out
    trainable: tuple[str, ...]
    learning_rates: tuple[float, ...]  # of the experiments that follow the first run
    growth: tuple[tuple[str, int], ...]  # model size, and how many times the messages


FULL = Scale(
    targets=(),
    messages=64,
    steps=3,
    repeats=5,
    recipes_again=True,
    classified=(256, 8000),
    trainable=("last_block", "last_two_blocks", "all", "head_only"),
    learning_rates=(4.0e-5, 3.0e-5, 2.0e-5),
    growth=tuple((size, times) for size in ("124M", "355M") for times in (1, 2, 4, 8)),
)
QUICK = Scale(
    targets=("evaluate",),
    messages=16,
    steps=1,
    repeats=1,
    recipes_again=False,
    classified=(8000,),
    trainable=("last_block",),
    learning_rates=(4.0e-5,),
    growth=(),
)


class Workspace:
    """A copy of the project in which the pipeline and the measurements run."""

    def __init__(self, folder: Path, checkpoint_dir: Path, quick: bool) -> None:
        self.folder = folder
        for name in (*COPIED, "models/gpt2-mini"):
            source, target = ROOT / name, folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            (shutil.copytree if source.is_dir() else shutil.copyfile)(source, target)
        changes = {
            "fetch_gpt2": {"sources": [str(checkpoint_dir)], "verify": False, "fallback": None}
        }
        self.set(changes)
        self.run("git", "init", "--quiet")
        if quick:
            self._shorten()

    def _shorten(self) -> None:
        """Take the first 200 messages of the collection for all there are."""
        self.run("dvc", "repro", "download_data")
        lines = (self.folder / "data/raw/SMSSpamCollection").read_bytes().splitlines(True)
        (self.folder / "first.tsv").write_bytes(b"".join(lines[:200]))
        self.set({"prepare": {"path": "first.tsv"}})

    def set(self, changes: dict[str, dict[str, Any]]) -> None:
        """Change parameters."""
        path = self.folder / "params.yaml"
        values = yaml.safe_load(path.read_text())
        for section, of_section in changes.items():
            values[section].update(of_section)
        path.write_text(yaml.safe_dump(values))

    def run(self, *command: str) -> str:
        """Run a command in the folder; its standard output."""
        environment = os.environ | {
            "PYTHONPATH": str(self.folder / "src"),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }
        done = subprocess.run(command, cwd=self.folder, env=environment, text=True,
                              stdout=subprocess.PIPE)  # fmt: skip
        if done.returncode:
            raise SystemExit(f"error: {' '.join(command)} failed; what it says is above")
        return done.stdout

    def timed(self, *command: str) -> float:
        """Wall seconds of a command, its start included."""
        began = time.perf_counter()
        self.run(*command)
        return time.perf_counter() - began

    def measure(self, measurement: str, **arguments: Any) -> dict[str, Any]:
        """One measurement of measure.py in a process of its own."""
        print(f"{measurement} {arguments or ''}", file=sys.stderr, flush=True)
        script = str(HERE / "measure.py")
        output = self.run(sys.executable, script, measurement, json.dumps(arguments))
        return json.loads(output.splitlines()[-1])

    def stages(self) -> dict[str, tuple[float, int]]:
        """Seconds and peak MB of each stage, as it last ran."""
        lines = (self.folder / "reports/timings.tsv").read_text().splitlines()
        rows = (line.split("\t") for line in lines)
        return {stage: (float(seconds), int(peak)) for stage, seconds, peak in rows}


def machine(vocabulary_dir: Path) -> list[str]:
    """What the figures depend on."""
    names = ("torch", "transformers", "dvc", "mlflow")
    versions = ", ".join(f"{name} {version(name)}" for name in names)
    vocabulary = "the stand-in's" if vocabulary_dir == STAND_IN_DIR else "GPT-2's"
    return [
        f"- {os.cpu_count()} processors ({processor()}), Python {platform.python_version()}",
        f"- {versions}",
        f"- random weights of GPT-2 124M, {vocabulary} vocabulary, 5 epochs, batches of 8",
    ]


def processor() -> str:
    """The processor's name, where the system tells."""
    path = Path("/proc/cpuinfo")
    if path.is_file():
        for line in path.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def pipeline_table(work: Workspace, scale: Scale) -> list[str]:
    """The pipeline from nothing, stage by stage, and the first answer."""
    repro = ("dvc", "repro", *scale.targets)
    first = work.timed(*repro)
    stages = work.stages()
    start = statistics.median(
        work.timed(sys.executable, "-m", "spam_gpt2", "You have won a prize")
        for _ in range(scale.repeats)
    )
    lines = ["## The pipeline", "", "| stage | seconds | peak memory |", "| --- | --: | --: |"]
    lines += [f"| {name} | {s:.1f} | {mb:,} MB |" for name, (s, mb) in stages.items()]
    return [
        *lines,
        f"| all, `{' '.join(repro)}` from nothing | {first:.0f} | |",
        f"| `python -m spam_gpt2` to its answer (median of {scale.repeats}) | {start:.1f} | |",
        "",
    ]


def another_learning_rate(work: Workspace, scale: Scale) -> float:
    """Median wall seconds of the whole `dvc repro` after a change of the learning rate."""
    seconds = []
    for rate in scale.learning_rates:
        print(f"learning rate {rate}", file=sys.stderr, flush=True)
        work.set({"finetune": {"learning_rate": rate}})
        seconds.append(work.timed("dvc", "repro", *scale.targets))
    return statistics.median(seconds)


def recipes(work: Workspace, trainable: str, scale: Scale) -> tuple[float, float]:
    """Seconds of the two recipes' whole training."""
    plain, transformers = (
        work.measure("recipe", which=which, trainable=trainable, steps=scale.steps)["whole"]
        for which in ("plain", "transformers")
    )
    return plain, transformers


def training_table(work: Workspace, scale: Scale) -> list[str]:
    """Whole fine-tunings of the three, side by side, for each choice of what is trained."""
    times = "before and after" if scale.recipes_again else "before"
    lines = [
        "## Fine-tuning, features and evaluation included", "",
        "Seconds for 5 epochs; in brackets, how many times longer than this project. The recipes",
        f"are timed {times} it.", "",
        "| trainable | this project | plain recipe | transformers |", "| --- | --: | --: | --: |",
    ]  # fmt: skip
    for trainable in scale.trainable:
        before = recipes(work, trainable, scale)
        name = trainable
        ours = {name: work.measure("ours", trainable=trainable, steps=6 * scale.steps)["whole"]}
        if trainable == "last_block":
            name = f"{trainable}, another learning rate, whole `dvc repro`"
            ours[name] = another_learning_rate(work, scale)
        after = recipes(work, trainable, scale) if scale.recipes_again else before
        plain, hf = (statistics.mean(both) for both in zip(before, after, strict=True))
        lines += [
            f"| {name} | {seconds:.0f} | {plain:.0f} ({plain / seconds:.1f}×) "
            f"| {hf:.0f} ({hf / seconds:.1f}×) |"
            for name, seconds in ours.items()
        ]
    return [*lines, ""]


def rate_table(work: Workspace, scale: Scale) -> list[str]:
    """The frozen part against the plain matrix product, and classification."""
    rate = work.measure("frozen_rate", messages=4 * scale.messages, repeats=scale.repeats)
    ours = [work.measure("classify", which="ours", messages=n) for n in scale.classified]
    plain = work.measure("classify", which="plain", messages=scale.messages // 2)
    per_s, plain_per_s = ours[-1]["messages_per_s"], plain["messages_per_s"]
    return [
        "## Rates", "",
        "| | |", "| --- | --: |",
        f"| plain fp32 matrix product (median of {scale.repeats}) | {rate['plain']:.0f} GFLOP/s |",
        f"| frozen part, over the tokens that exist (in turn with it) "
        f"| {rate['frozen']:.0f} GFLOP/s ({rate['share']:.0%}) |",
        f"| classification of the whole hold-out | {per_s:.1f} messages/s |",
        f"| the same by the plain recipe, one by one | {plain_per_s:.1f} messages/s "
        f"({per_s / plain_per_s:.1f}× slower) |",
        *(f"| peak memory, {n['messages']:,} messages classified | {n['peak_mb']:,} MB |"
          for n in ours), "",
    ]  # fmt: skip


def growth_table(work: Workspace, scale: Scale) -> list[str]:
    """Features of 1, 2, 4 and 8 times the messages, and of the next larger model, if asked for."""
    if not scale.growth:
        return []
    lines = [
        "## Growth of cost: features", "",
        "Memory is the peak, and in brackets what the model alone took.", "",
        "| size | messages | tokens | seconds | ms a token | memory |",
        "| --- | --: | --: | --: | --: | --: |",
    ]  # fmt: skip
    for size, times in scale.growth:
        m = work.measure("features", size=size, messages=scale.messages * times)
        lines.append(
            f"| {size} | {m['messages']:,} | {m['tokens']:,} | {m['seconds']:.1f} "
            f"| {1000 * m['seconds'] / m['tokens']:.2f} | {m['peak_mb']:,} MB "
            f"({m['before_mb']:,} MB) |"
        )
    return [*lines, ""]


def main() -> None:
    """Run everything and write the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer messages, in under 3 minutes")
    parser.add_argument(
        "--vocabulary", type=Path, default=STAND_IN_DIR,
        help="folder with GPT-2's encoder.json and vocab.bpe; the stand-in's makes messages longer",
    )  # fmt: skip
    args = parser.parse_args()
    scale = QUICK if args.quick else FULL
    with tempfile.TemporaryDirectory(prefix="spam-gpt2-bench-") as folder:
        checkpoint_dir = Path(folder) / "checkpoint"
        write_random_checkpoint(checkpoint_dir, "124M", args.vocabulary.resolve())
        work = Workspace(Path(folder) / "project", checkpoint_dir, args.quick)
        pipeline = pipeline_table(work, scale)
        report = [
            "# Speed and memory", "", f"Made by `make bench{'-quick' * args.quick}`.", "",
            *machine(args.vocabulary), "",
            *training_table(work, scale),
            *rate_table(work, scale),
            *pipeline,
            *growth_table(work, scale),
        ]  # fmt: skip
    name = "results-quick.md" if args.quick else "results.md"
    (HERE / name).write_text("\n".join(report), encoding="utf-8")
    print("\n".join(report))


if __name__ == "__main__":
    main()

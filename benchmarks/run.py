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
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml
from random_checkpoint import STAND_IN_DIR, write_random_checkpoint

from spam_gpt2.gpt2.compute import has_bfloat16

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
RECIPES = {"plain": "plain recipe", "transformers": "transformers"}
HOW = ("as it comes", "same setting")
COPIED = (
    "stages", "src", "dvc.yaml", "plots/dvc.yaml", "params.yaml", ".dvc/config", ".dvcignore",
    ".gitignore",
)  # fmt: skip


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
    precisions: tuple[str, ...]


FULL = Scale(
    targets=(),
    messages=64,
    steps=3,
    repeats=5,
    recipes_again=True,
    classified=(256, 8000),
    trainable=("last_block", "last_two_blocks", "all", "head_only", "lora"),
    learning_rates=(4.0e-5, 3.0e-5, 2.0e-5),
    growth=tuple((size, times) for size in ("124M", "355M") for times in (1, 2, 4, 8)),
    precisions=("float32", "bfloat16"),
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
    precisions=("float32",),
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
        return {stage: (float(seconds), int(peak)) for stage, seconds, peak, *_ in rows}


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


def recipe_seconds(
    work: Workspace, which: str, trainable: str, scale: Scale, setting: dict[str, Any]
) -> float:
    """Seconds of a recipe's whole training."""
    arguments = {"which": which, "trainable": trainable, "steps": scale.steps, "setting": setting}
    return work.measure("recipe", **arguments)["whole"]


def training_table(work: Workspace, scale: Scale) -> list[str]:
    """Whole fine-tunings side by side, for each choice of what is trained and each precision."""
    lines = [
        "## Fine-tuning, features and evaluation included", "",
        "Seconds for 5 epochs; in brackets, how many times longer than this project. As it comes,",
        "a recipe has torch's defaults; at the same setting, this project's matmul setting or",
        "autocast to bfloat16. For the last block, recipes as they come are timed "
        + ("before and after this project." if scale.recipes_again else "before this project."),
        "",
    ]  # fmt: skip
    header = [
        "trainable", "this project", *(f"{n}, {how}" for n in RECIPES.values() for how in HOW),
    ]  # fmt: skip
    default: dict[str, list[float]] = {}
    for precision in scale.precisions:
        lines += [f"### {precision}", "", row(header), row(["---", *["--:"] * 5])]
        for trainable in scale.trainable:
            lines += training_rows(work, scale, trainable, precision, default)
        lines.append("")
    return lines


def training_rows(
    work: Workspace, scale: Scale, trainable: str, precision: str, default: dict[str, list[float]]
) -> list[str]:
    """This project and the recipes with one choice of what is trained.

    Args:
        default: what recipes as they come took, the same in both precisions: filled and read.
    """
    names = [name for name in RECIPES if (name, trainable) != ("transformers", "lora")]

    def as_they_come() -> list[float]:
        return [recipe_seconds(work, name, trainable, scale, {}) for name in names]

    before = default.get(trainable) or as_they_come()
    arguments = {"trainable": trainable, "steps": 6 * scale.steps, "precision": precision}
    ours = {trainable: work.measure("ours", **arguments)["whole"]}
    if (trainable, precision) == ("last_block", "float32"):
        ours[f"{trainable}, another learning rate, whole `dvc repro`"] = another_learning_rate(
            work, scale
        )
    if len(ours) > 1 and scale.recipes_again:
        after = as_they_come()
        before = [statistics.mean(both) for both in zip(before, after, strict=True)]
    default[trainable] = before
    setting = {"bfloat16": True} if precision == "bfloat16" else {"matmul": "medium"}
    same = [recipe_seconds(work, name, trainable, scale, setting) for name in names]
    rows = []
    for name, seconds in ours.items():
        cells = [
            f"{t:.0f} ({t / seconds:.1f}×)" for pair in zip(before, same, strict=True) for t in pair
        ]
        rows.append(row([name, f"{seconds:.0f}", *cells, *["–"] * (4 - len(cells))]))
    return rows


def row(cells: list[str]) -> str:
    """A row of a table in Markdown."""
    return f"| {' | '.join(cells)} |"


def rate_table(work: Workspace, scale: Scale) -> list[str]:
    """The frozen part against the fastest matrix product, and classification."""
    lines = [
        "## Rates", "",
        "The frozen part counts the tokens that exist, and takes turns with the products: the",
        "largest of a block, by every way that torch has.", "",
        "| | | |", "| --- | --- | --: |",
    ]  # fmt: skip
    plain = work.measure("classify", which="plain", messages=scale.messages // 2)
    slow = plain["messages_per_s"]
    for precision in scale.precisions:
        rate = work.measure(
            "frozen_rate", messages=4 * scale.messages, repeats=scale.repeats, precision=precision
        )
        ours = [
            work.measure("classify", which="ours", messages=n, precision=precision)
            for n in scale.classified
        ]
        fast = ours[-1]["messages_per_s"]
        named = {
            f"product, {name}": f"{value:.0f} GFLOP/s" for name, value in rate["products"].items()
        }
        named["frozen part"] = (
            f"{rate['frozen']:.0f} GFLOP/s, {rate['share']:.0%} of {rate['best']}"
        )
        named["classification of the whole hold-out"] = (
            f"{fast:.1f} messages/s, {fast / slow:.1f} × the plain recipe"
        )
        for n in ours:
            named[f"peak memory, {n['messages']:,} messages classified"] = f"{n['peak_mb']:,} MB"
        lines += [row([precision, name, value]) for name, value in named.items()]
    one_by_one = "classification by the plain recipe, one by one"
    return [*lines, row(["float32", one_by_one, f"{slow:.1f} messages/s"]), ""]


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
    if not has_bfloat16():
        scale = replace(scale, precisions=("float32",))
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

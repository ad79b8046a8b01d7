"""A project folder in which DVC runs on a tiny checkpoint."""

from __future__ import annotations

import copy
import csv
import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import yaml
from conftest import ROOT

from spam_gpt2.common.files import sha256_of
from spam_gpt2.common.project import CLONED_FROM
from spam_gpt2.gpt2.tf_checkpoint import OPENAI_FILES

COPIED = (
    "stages", "src", "dvc.yaml", "plots/dvc.yaml", "reports/dvc.yaml", "params.yaml", ".dvc/config",
    ".dvc/plots", ".dvcignore", ".gitignore", "data/feedback.csv",
)  # fmt: skip
TARGETS = ("track", "evaluate_holdout", "probe_gpt2")
WORDS = {
    "ham": ["home", "dinner", "later", "tomorrow", "love", "meeting", "school", "bus", "ok"],
    "spam": ["free", "prize", "win", "cash", "claim", "call", "urgent", "txt", "reward"],
    "news": ["minister", "election", "storm", "rates", "match", "report", "police", "court"],
}


def set_params(folder: Path, **changes: object) -> None:
    """Change a project's parameters; `finetune__epochs=1` is the key finetune.epochs."""
    path = folder / "params.yaml"
    values = yaml.safe_load(path.read_text())
    for name, value in changes.items():
        section, key = name.split("__")
        values[section][key] = value
    path.write_text(yaml.safe_dump(values))


class Clone:
    """A project folder with git and DVC, and what its commands printed."""

    def __init__(self, folder: Path, checkpoint_dir: Path) -> None:
        self.folder = folder
        for name in COPIED:
            source, target = ROOT / name, folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copyfile(source, target)
        self._embed_stand_in(checkpoint_dir)
        self.run("git", "init", "-q")
        self.run("git", "config", "user.email", "test@example.org")
        self.run("git", "config", "user.name", "Test")

    def _embed_stand_in(self, checkpoint_dir: Path) -> None:
        folder = self.folder / "models/gpt2-mini"
        shutil.copytree(checkpoint_dir, folder)
        digests = {name: sha256_of(folder / name) for name in OPENAI_FILES}
        (folder / "training.json").write_text(json.dumps({"sha256": digests}))

    def set(self, **changes: object) -> None:
        """Change parameters, as `set_params`."""
        set_params(self.folder, **changes)

    @property
    def environment(self) -> dict[str, str]:
        """Of a person who works in the folder."""
        environment = os.environ | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(self.folder / "src"),
            "GIT_CONFIG_GLOBAL": os.devnull,
        }
        for name in ("MLFLOW_TRACKING_URI", "GPT2_MIRROR", "DVC_ROOT", CLONED_FROM):
            environment.pop(name, None)
        return environment

    def run(self, *command: str, check: bool = True) -> str:
        """Run a command in the folder; its output, standard error included."""
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        assert not check or done.returncode == 0, done.stdout
        return done.stdout

    def answer(self, *command: str) -> dict:
        """The JSON that a command prints, behind whatever it warns of."""
        output = self.run(*command)
        return json.loads(output[output.index("{") :])

    def cloned(self, folder: Path) -> Clone:
        """A clone of what is committed, as a colleague would make it."""
        self.run("git", "clone", "-q", ".", str(folder))
        other = copy.copy(self)
        other.folder = folder
        return other

    def repro(self, *targets: str) -> list[str]:
        """`dvc repro`; the names of the stages that ran."""
        output = self.run("dvc", "repro", *(targets or TARGETS))
        return [line.split("'")[1] for line in output.splitlines() if line.startswith("Running")]

    def json(self, path: str) -> dict:
        return json.loads((self.folder / path).read_text())

    def digests(self, *folders: str) -> dict[str, str]:
        """SHA-256 of every output below the folders."""
        paths = [p for folder in folders for p in (self.folder / folder).rglob("*")]
        return {str(p.relative_to(self.folder)): sha256_of(p) for p in paths if p.is_file()}


def write_messages(path: Path, labels: list[str], counts: dict[str, int]) -> None:
    """A CSV of made-up messages whose words tell their label."""
    draw = random.Random(5)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["label", "text"])
        for label in labels:
            for _ in range(counts[label]):
                words = draw.choices(WORDS[label], k=draw.randint(3, 12))
                writer.writerow([label, f"{' '.join(words)}, {draw.randint(0, 999)}"])

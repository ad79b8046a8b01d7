"""A real git repository with the results that a report compares."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import yaml
from scipy import stats

PIPELINE = {"stages": {"prepare": {"cmd": "true"}, "finetune": {"cmd": "true"}}}
PARAMS = {"prepare": {"seed": 123}, "finetune": {"epochs": 5, "learning_rate": 5.0e-5}}
LABELS = ["ham", "spam"]
ODD_NAME = "why? #1 100% größe 短信 $HOME 'q', [a]"  # of a folder
FIGURES = ("accuracy", "precision", "recall", "f1", "roc_auc", "loss")


class Repository:
    """A project folder under git, or a clone of one."""

    def __init__(self, root: Path, clone_of: Path | None = None, depth: int = 1) -> None:
        self.root = root
        if clone_of:
            source = clone_of.as_uri()  # a path would be cloned without regard to the depth
            command = ["git", "clone", "-q", f"--depth={depth}", source, str(root)]
            subprocess.run(command, check=True, capture_output=True)
        else:
            root.mkdir(parents=True, exist_ok=True)
            self.git("init", "-q", "-b", "main")
        self.git("config", "user.email", "test@example.org")
        self.git("config", "user.name", "Test")

    def git(self, *command: str) -> str:
        """What git prints."""
        environment = os.environ | {"GIT_CONFIG_GLOBAL": os.devnull}
        done = subprocess.run(
            ["git", *command], cwd=self.root, env=environment, check=True, capture_output=True
        )
        return done.stdout.decode().strip()

    def write(self, path: str, value: Any) -> None:
        """Write a value as JSON or YAML, by the name's ending; text and bytes as they are."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(value, bytes):
            target.write_bytes(value)
        elif isinstance(value, str):
            target.write_text(value, encoding="utf-8")
        elif target.suffix == ".json":
            target.write_text(json.dumps(value, indent=2))
        else:
            target.write_text(yaml.safe_dump(value, sort_keys=False))

    def commit(self, **files: Any) -> str:
        """Commit all there is, with these files (`params__yaml` is params.yaml); its digest."""
        for name, value in files.items():
            self.write(name.replace("__", "."), value)
        self.git("add", "--all")
        self.git("commit", "-q", "--allow-empty", "-m", "change")
        return self.git("rev-parse", "HEAD")

    def start(self, gpt2: dict[str, Any], **others: dict[str, Any]) -> str:
        """The first commit: a pipeline that has run, and its metrics."""
        self.write("dvc.yaml", PIPELINE)
        self.write("params.yaml", PARAMS)
        self.write("dvc.lock", lock())
        for stem, metrics in {"gpt2": gpt2, **others}.items():
            self.write(f"metrics/{stem}.json", metrics)
        return self.commit()


def lock(test_set: str = "aaaa", params: dict[str, Any] = PARAMS) -> dict[str, Any]:
    """DVC's lock file of a run with these parameters."""
    outs = [{"path": "data/prepared/test.csv", "hash": "md5", "md5": test_set, "size": 1}]
    recorded = {name: {"params.yaml": {name: values}} for name, values in params.items()}
    prepare = {"cmd": "true", "params": recorded["prepare"], "outs": outs}
    finetune = {"cmd": "true", "params": recorded["finetune"]}
    return {"schema": "2.0", "stages": {"prepare": prepare, "finetune": finetune}}


def gpt2_metrics(
    test: list[list[int]],
    *,
    weights: str = "gpt2-mini",
    sha256: str = "5f82" * 16,
    **figures: float,
) -> dict[str, Any]:
    """A metrics file as `evaluate` writes it; figures that are not given are 0.9."""
    right, total = sum(row[k] for k, row in enumerate(test)), sum(map(sum, test))
    accuracy = right / total
    return {
        "weights": weights,
        "weights_sha256": sha256,
        "labels": LABELS,
        "test": dict.fromkeys(FIGURES, 0.9) | {"accuracy": round(accuracy, 6)} | figures,
        "test_intervals": {"accuracy": wilson(right, total)},
        "confusion": {"validation": [[9, 1], [2, 8]], "test": test},
    }


def wilson(count: int, total: int) -> list[float]:
    """The 95 % interval of a share, as metrics files hold it."""
    interval = stats.binomtest(count, total).proportion_ci(0.95, method="wilson")
    return [round(interval.low, 6), round(interval.high, 6)]

"""A temporary copy of the project, in which `run.py` runs the pipeline and its measurements."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
COPIED = (
    "stages", "src", "dvc.yaml", "plots/dvc.yaml", "params.yaml", ".dvc/config", ".dvcignore",
    ".gitignore", "data/feedback.csv",
)  # fmt: skip


class Workspace:
    """A copy of the project in which the pipeline and the measurements run."""

    def __init__(self, folder: Path, checkpoint_dir: Path | None, quick: bool = False) -> None:
        """Args:
        checkpoint_dir: in OpenAI's layout; None is the embedded stand-in.
        quick: the first 200 messages are all there are.
        """
        self.folder = folder
        for name in (*COPIED, "models/gpt2-mini"):
            source, target = ROOT / name, folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            (shutil.copytree if source.is_dir() else shutil.copyfile)(source, target)
        source = checkpoint_dir or folder / "no-such-folder"
        fallback = None if checkpoint_dir else "gpt2-mini"
        self.set({"fetch_gpt2": {"sources": [str(source)], "verify": False, "fallback": fallback}})
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

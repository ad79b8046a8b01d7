"""A process that is told of a training; whatever becomes of it, the training goes on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from spam_gpt2 import STORE
from spam_gpt2.common.console import warn
from spam_gpt2.training.recipe import Point

PATIENCE = 60  # seconds that the end of a training waits for it


class Watcher:
    """A module that runs as a process of its own, and reads facts as lines of JSON.

    Nothing here waits for it: a pipe takes so short a line whole or not at all, and once it is full
    or broken the process is told no more.

    Args:
        module: None: there is no such process.
    """

    def __init__(self, module: str | None) -> None:
        self.process: subprocess.Popen | None = None
        self.listens = module is not None
        if module:
            command = [sys.executable, "-m", module]
            alone = {name: value for name, value in os.environ.items() if name != STORE}
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, env=alone)
            os.set_blocking(self.process.stdin.fileno(), False)

    def tell(self, **facts: Any) -> None:
        """Send facts, if it still listens."""
        if not self.listens:
            return
        try:
            os.write(self.process.stdin.fileno(), json.dumps(facts).encode() + b"\n")
        except OSError:  # full, or nobody reads
            self.listens = False
            warn("this training's curves are shown no further; `track` sends them")

    def row(self, column: str, row: Point) -> None:
        """Send a row of a curve, and the column that it goes by."""
        self.tell(column=column, row=row)

    def end(self) -> None:
        """Say that all was told, and give it time for what it has not done yet."""
        if self.process is None:
            return
        self.process.stdin.close()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()

"""Programs that experiments are run with: `dvc` and `git`, with one line for what goes wrong."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from typing import Any

from spam_gpt2.files import InputError


def output_of(*command: str, stdin: bytes | None = None) -> bytes:
    """What a command prints. Raises: InputError with its own words when it fails."""
    done = execute(command, input=stdin, capture_output=True)
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip() or "failed"
        raise InputError(f"{' '.join(command[:2])}: {reason}")
    return done.stdout


def execute(command: Sequence[str], **options: Any) -> subprocess.CompletedProcess:
    """`subprocess.run`. Raises: InputError when there is no such program."""
    try:
        return subprocess.run(command, **options)
    except FileNotFoundError:
        raise InputError(f"{command[0]}: no such command; activate the environment first") from None

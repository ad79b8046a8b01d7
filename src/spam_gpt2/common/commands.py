"""Programs that the project runs, `git` and `dvc`, with one line for what goes wrong."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from spam_gpt2.common.files import InputError

REMEDIES = {"git": "install it"}


def git(folder: Path, *arguments: str, stdin: bytes | None = None, silent: str = "") -> bytes:
    """What git prints when it runs in a folder. Raises: InputError, as `output_of`."""
    return output_of("git", *arguments, folder=folder, stdin=stdin, silent=silent)


def output_of(
    *command: str, folder: Path | None = None, stdin: bytes | None = None, silent: str = ""
) -> bytes:
    """What a command prints.

    Args:
        folder: to run it in; None is the working directory.
        silent: the error's text when the command fails without a word.

    Raises: InputError with the first line of the command's own words when it fails.
    """
    done = execute(command, cwd=folder, input=stdin, capture_output=True)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().partition("\n")[0]
        if silent and not said:
            raise InputError(silent)
        reason = said.removeprefix("fatal: ") or "failed"
        raise InputError(f"{' '.join(command[:2])}: {reason}")
    return done.stdout


def execute(command: Sequence[str], **options: Any) -> subprocess.CompletedProcess:
    """`subprocess.run`. Raises: InputError when there is no such program."""
    try:
        return subprocess.run(command, **options)
    except FileNotFoundError:
        remedy = REMEDIES.get(command[0], "activate the environment first")
        raise InputError(f"{command[0]}: no such command; {remedy}") from None

"""Where the project is, for what runs in a copy of it that is thrown away."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from spam_gpt2.common.commands import execute
from spam_gpt2.common.files import InputError

COLLECTION_PATH = "data/raw/SMSSpamCollection"  # the messages that are not the user's own
CLONED_FROM = "SPAM_GPT2_PROJECT"  # the environment variable that names it in a clone


def project_dir(folder: Path = Path()) -> Path:
    """The project that a folder is a copy of, or the folder itself.

    `dvc exp run --temp` works in a copy and names what it is a copy of in DVC_ROOT. Where that is a
    clone, made so that experiments run side by side, a variable of our own names the project.
    """
    return Path(os.environ.get(CLONED_FROM) or os.environ.get("DVC_ROOT") or folder)


def check_is_there(path: Path, key: str) -> None:
    """Refuse a file that is missing, or that only a copy lacks since git does not know it.

    What git ignores are outputs, which a stage makes, or DVC brings into the copy.

    Args:
        path: as the parameter has it, relative to the project's folder or absolute.
        key: the parameter's name.

    Raises: InputError.
    """
    project = project_dir().resolve()
    if path.exists():
        return
    if execute(["git", "check-ignore", "--quiet", str(path)], cwd=project).returncode == 0:
        return
    if not (project / path).is_file():
        raise InputError(f"{key}: {project / path}: no such file")
    raise InputError(
        f"{key}: git does not know {path}, so that `--temp` and `--queue` run without it; add "
        f"--copy-paths {shlex.quote(str(path))}, or name it as {project / path}"
    )

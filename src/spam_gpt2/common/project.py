"""Where the project is, for what runs in a copy of it that is thrown away."""

from __future__ import annotations

import os
from pathlib import Path

CLONED_FROM = "SPAM_GPT2_PROJECT"  # the environment variable that names it in a clone


def project_dir(folder: Path = Path()) -> Path:
    """The project that a folder is a copy of, or the folder itself.

    `dvc exp run --temp` works in a copy and names what it is a copy of in DVC_ROOT. Where that is a
    clone, made so that experiments run side by side, a variable of our own names the project.
    """
    return Path(os.environ.get(CLONED_FROM) or os.environ.get("DVC_ROOT") or folder)

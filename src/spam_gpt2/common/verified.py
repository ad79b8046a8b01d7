"""Which large files were found to be what they should be, so that not every start hashes them.

A file `.<folder>.<file>.verified` beside the folder tells size, times and inode of the version that
was looked at. It is a cache: it may be deleted, and where it cannot be written nothing is lost but
time. It is not in the folder itself, which DVC watches.
"""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

from spam_gpt2.common.files import InputError, read_json, write_json

# A change this soon after the last one may leave the times as they are: file systems count in
# steps, on some of two seconds.
SETTLED = 2.0


def is_verified(path: Path, sha256: str) -> bool:
    """Whether this very version of a file was found to have this digest."""
    with suppress(InputError, OSError):
        return read_json(_record_path(path)) == _version(path, sha256)
    return False


def remember(path: Path, sha256: str) -> None:
    """Note that a file has this digest now, unless it is so new that a change might not show."""
    with suppress(OSError):
        version = _version(path, sha256)
        if time.time() - max(version["mtime_ns"], version["ctime_ns"]) / 1e9 > SETTLED:
            write_json(_record_path(path), version)


def _record_path(path: Path) -> Path:
    folder = path.absolute().parent
    return folder.parent / f".{folder.name}.{path.name}.verified"


def _version(path: Path, sha256: str) -> dict[str, int | str]:
    it = path.stat()
    return {
        "sha256": sha256,
        "size": it.st_size,
        "mtime_ns": it.st_mtime_ns,
        "ctime_ns": it.st_ctime_ns,  # which no program can set back
        "inode": it.st_ino,
    }

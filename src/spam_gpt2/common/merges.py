"""Files in which git left both sides of a merge, for someone to resolve."""

from __future__ import annotations

MARKERS = ("<<<<<<< ", ">>>>>>> ")  # git's, at the start of a line
RESOLVE = "keep the lines that you mean, delete the marks, then `git add {path}`"


def has_markers(text: str) -> bool:
    """Whether lines of a file begin as git marks both sides of a conflict."""
    lines = text.splitlines()
    return all(any(line.startswith(marker) for line in lines) for marker in MARKERS)

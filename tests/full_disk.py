"""A disk that is full, as far as a process can tell."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def little_room(size: int) -> Iterator[None]:
    """No file can grow beyond `size` bytes: a write fails half-way, as it does on a full disk."""
    resource = pytest.importorskip("resource", reason="no limits to set on Windows")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

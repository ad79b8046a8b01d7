"""Weights in a mapped file: giving back the memory of those that nobody reads any more."""

from __future__ import annotations

import ctypes
import mmap
import sys
from pathlib import Path

from torch import Tensor


def release(tensor: Tensor) -> None:
    """Give back the memory of a tensor that lies in a mapped file, where the system is Linux.

    Whoever reads it all the same reads it from the file again. A tensor that lies elsewhere is left
    as it is, since its values are nowhere else. See madvise(2).
    """
    first, last = tensor.data_ptr(), tensor.data_ptr() + tensor.nbytes
    if sys.platform != "linux" or not tensor.is_contiguous() or not _is_in_file(first, last):
        return
    first = -(-first // mmap.PAGESIZE) * mmap.PAGESIZE  # whole pages only: others may be read
    length = last // mmap.PAGESIZE * mmap.PAGESIZE - first
    if length > 0:
        madvise = ctypes.CDLL(None).madvise
        madvise(ctypes.c_void_p(first), ctypes.c_size_t(length), mmap.MADV_DONTNEED)


def _is_in_file(first: int, last: int) -> bool:
    """Whether all of a range of addresses is one mapping of a file; see proc_pid_maps(5)."""
    for line in Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace").splitlines():
        addresses, _, _, _, inode, *_ = line.split(maxsplit=5)
        start, end = (int(address, 16) for address in addresses.split("-"))
        if start <= first < end:
            return inode != "0" and last <= end
    return False

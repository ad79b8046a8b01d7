"""How the process's memory allocator treats what training frees."""

from __future__ import annotations

import ctypes

# Of glibc's malloc.h, and the largest threshold for mmap that it accepts on 64 bits.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
LARGEST_MMAP_THRESHOLD = 32 << 20
KEPT_BYTES = 1 << 30


def keep_freed_memory() -> None:
    """Keep up to 1 GiB that is freed for what is allocated next, where malloc is glibc's.

    A step of training allocates gradients and frees them. By default malloc hands such large
    pieces back to the system each time, which then clears every page again at the next step.
    See mallopt(3); on a system without it nothing changes.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # macOS; musl; Windows
        return
    mallopt(M_MMAP_THRESHOLD, LARGEST_MMAP_THRESHOLD)
    mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)

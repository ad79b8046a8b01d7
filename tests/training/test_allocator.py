"""Freed memory is kept: an independent count, the page faults that the system saw."""

import ctypes
import subprocess
import sys

import pytest

# What a step of training does to memory: gradients of a block's sizes, written and freed. Without
# torch, since what else lies in the heap decides whether malloc can return any of it.
STEPS = """
import resource, sys
import numpy as np
from spam_gpt2.training.allocator import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()
def step():
    gradients = [np.ones(3072 * 768, np.float32) for _ in range(9)]
for _ in range(5):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    step()
print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) // 20)
"""


def page_faults(how: str) -> int:
    command = [sys.executable, "-c", STEPS, how]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


GLIBC = sys.platform == "linux" and hasattr(ctypes.CDLL(None), "gnu_get_libc_version")


@pytest.mark.skipif(not GLIBC, reason="malloc is not glibc's")
def test_freed_memory_is_used_again_without_a_page_fault() -> None:
    assert page_faults("default") > 1000  # a step, in pages of 4 KiB
    assert page_faults("kept") < 100

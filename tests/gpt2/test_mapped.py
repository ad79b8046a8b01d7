"""Memory of mapped weights is given back, by the kernel's own count, and nothing is lost."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import torch

from spam_gpt2.gpt2.mapped import release
from spam_gpt2.gpt2.weights import load_tensors, save_tensors

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="Linux alone has madvise as used")
ROWS = 2048  # of 1,024 numbers: 8 MB


def resident_kib(file: Path) -> int:
    """Of a file's mappings, by /proc/self/smaps."""
    smaps = Path("/proc/self/smaps").read_text(encoding="utf-8")
    parts = re.split(r"^(?=[0-9a-f]+-[0-9a-f]+ )", smaps, flags=re.MULTILINE)
    found = [re.search(r"^Rss: +(\d+)", part, re.MULTILINE) for part in parts if str(file) in part]
    return sum(int(match[1]) for match in found if match)


@on_linux
def test_pages_of_a_file_are_given_back_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_tensors(path, {name: torch.randn(ROWS, 1024) for name in ("a", "b")})
    tensors = load_tensors(path)
    sums = {name: tensor.sum().item() for name, tensor in tensors.items()}
    assert resident_kib(path) >= 2 * 8192
    release(tensors["a"])
    assert 8192 <= resident_kib(path) <= 8192 + 64  # what lies beside it in the file stays
    assert {name: tensor.sum().item() for name, tensor in tensors.items()} == sums


@pytest.mark.parametrize("kind", ["of its own", "a part", "transposed", "empty"])
def test_what_lies_in_no_file_is_left_as_it_is(kind: str) -> None:
    whole = torch.randn(ROWS, 1024)
    tensor = {"of its own": whole, "a part": whole[1:], "transposed": whole.T, "empty": whole[:0]}
    expected = whole.clone()
    release(tensor[kind])
    assert torch.equal(whole, expected)

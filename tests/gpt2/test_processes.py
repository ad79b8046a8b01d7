"""Several processes come to what one comes to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest
import torch
from conftest import ROOT
from safetensors.torch import load_file
from shared_work import TRAININGS

from spam_gpt2.common.files import InputError
from spam_gpt2.gpt2 import processes
from spam_gpt2.gpt2.processes import join, own, share

pytestmark = pytest.mark.skipif(os.name == "nt", reason="torchrun's signals are POSIX's")

Done = tuple[dict[str, list[dict[str, float]]], dict[str, torch.Tensor]]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Done]:
    """The curves and the tensors of `shared_work.py` on so many processes."""
    folder, found = tmp_path_factory.mktemp("shared"), {}
    for count in (1, 2, 3):
        path = folder / f"{count}.safetensors"
        environment = os.environ | {
            "PROCESSES": str(count),
            "RESULT": str(path),
            "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT / 'tests'}",
        }
        run = subprocess.run(
            [sys.executable, ROOT / "tests/shared_work.py"],
            cwd=folder, env=environment, capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        (line,) = run.stderr.splitlines()
        assert (run.returncode, line.split(" took ")[0]) == (0, "shared_work")
        found[count] = json.loads(path.with_suffix(".json").read_text()), load_file(path)
    return found


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("case", [", ".join(map(str, case)) for case in TRAININGS])
def test_losses_are_those_of_one_process(done: dict[int, Done], case: str, count: int) -> None:
    """Of every step and look; they are rounded to 1e-6 as they are written."""
    (curves, tensors), (again, tensors_again) = done[1], done[count]
    allowed = (1e-6 if count == 2 else 3e-6) + 1e-9
    assert len(again[case]) == len(curves[case]) > 8
    for row, row_again in zip(curves[case], again[case], strict=True):
        assert row_again == pytest.approx(row, abs=allowed, rel=0)
    assert curves[case][0]["train_loss"] > curves[case][-4]["train_loss"]  # something was learnt
    assert (tensors[case] - tensors_again[case]).abs().max() < 2e-4


@pytest.mark.parametrize("count", [2, 3])
def test_features_are_the_same_bytes(done: dict[int, Done], count: int) -> None:
    made, again = done[1][1], done[count][1]
    names = {name for name in made if name.startswith("torch.")} | {"dealt out"}
    assert len(names) == 5
    for name in names:
        assert again[name].view(torch.uint8).equal(made[name].view(torch.uint8)), name


def of_each(monkeypatch: pytest.MonkeyPatch, count: int, what: Any, *arguments: Any) -> list[Any]:
    """What a function gives in each of so many processes."""
    monkeypatch.setattr(processes, "processes", lambda: count)
    found = []
    for rank in range(count):
        monkeypatch.setattr(processes, "rank", lambda rank=rank: rank)
        found.append(what(*arguments))
    return found


@pytest.mark.parametrize("count", [1, 2, 3, 8])
@pytest.mark.parametrize("lengths", [[5], [3, 3, 3], [90, 10, 20, 30, 30], list(range(1, 40))])
def test_a_batch_is_shared_out_whole_and_evenly(
    monkeypatch: pytest.MonkeyPatch, count: int, lengths: list[int]
) -> None:
    shares = of_each(monkeypatch, count, share, torch.tensor(lengths))
    assert sorted(torch.cat(shares).tolist()) == list(range(len(lengths)))
    tokens = [sum(lengths[place] for place in places.tolist()) for places in shares]
    assert max(tokens) - min(tokens) <= max(lengths)
    assert len(shares[0])  # the one that writes has something to do


def test_batches_are_dealt_out_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    dealt = of_each(monkeypatch, 3, lambda: list(own(range(7))))
    assert dealt == [[0, 3, 6], [1, 4], [2, 5]]


@pytest.mark.parametrize(
    ("device", "said"),
    [("mps", "mps takes one process"), ("cuda", "2 processes need as many GPUs, and there are 1")],
)
def test_more_processes_than_devices_are_refused(
    monkeypatch: pytest.MonkeyPatch, device: str, said: str
) -> None:
    for name, value in (("SPAM_GPT2_STORE", "none"), ("RANK", "0"), ("WORLD_SIZE", "2")):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(InputError, match=f"params.yaml: compute.processes: {said}"):
        join(torch.device(device))

"""An interrupted training goes on to the same bytes, and never under other circumstances."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from conftest import TINY
from toys import settings, toy_messages

from spam_gpt2.classifier.trainable import unfreeze
from spam_gpt2.features.features import extract_features
from spam_gpt2.gpt2.head import GPT2Classifier, trained_tensors
from spam_gpt2.gpt2.weights import random_gpt2
from spam_gpt2.training.checkpoints import Checkpoints, fingerprint
from spam_gpt2.training.loop import Curves, finetune


class Interrupting(Checkpoints):
    """Ctrl-C just after a checkpoint at a step."""

    def __init__(self, folder: Path, at: int) -> None:
        super().__init__(folder, "this", seconds=0)
        self.at = at

    def save(self, tensors: dict, facts: dict) -> None:
        super().save(tensors, facts)
        if facts["step"] >= self.at:
            raise KeyboardInterrupt


def run(checkpoints: Checkpoints | None, **changes: object) -> tuple[dict, Curves]:
    setting = settings(epochs=3, batch_size=2, log_every=4, **changes)
    torch.manual_seed(setting.seed)
    classifier = GPT2Classifier(random_gpt2(TINY, 1), 2, "last_token")
    unfreeze(classifier, setting.trainable, setting.lora_rank, setting.lora_alpha)
    cut = 2 if setting.trainable == "last_block" and setting.reuse_frozen else 0
    splits = (extract_features(classifier, *toy_messages(n, n), cut, 50) for n in (10, 6))
    curves = finetune(classifier, *splits, setting, checkpoints)
    return {name: t.detach() for name, t in trained_tensors(classifier).items()}, curves


@pytest.mark.parametrize("trainable", ["last_block", "all", "lora"])
@pytest.mark.parametrize("recipe", ["own", "book"])
@pytest.mark.parametrize("reuse_frozen", [True, False])
@pytest.mark.parametrize("accumulation", [1, 2])
def test_it_goes_on_to_the_same_bytes(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    trainable: str,
    recipe: str,
    reuse_frozen: bool,
    accumulation: int,
) -> None:
    changes = {"trainable": trainable, "recipe": recipe, "reuse_frozen": reuse_frozen}
    changes["accumulation_steps"] = accumulation
    tensors, curves = run(None, **changes)
    folder = tmp_path / "checkpoint"
    for at in (2, 7, 12):
        with pytest.raises(KeyboardInterrupt):
            run(Interrupting(folder, at), **changes)
    capsys.readouterr()
    again, curves_again = run(Checkpoints(folder, "this"), **changes)
    assert "finetune continues after step 12" in capsys.readouterr().err
    assert curves_again == curves
    assert all(torch.equal(again[name], tensors[name]) for name in tensors)
    assert not folder.exists()


@pytest.mark.parametrize("how", ["other fingerprint", "flipped byte", "cut off", "no tensors"])
def test_another_or_a_damaged_checkpoint_is_left_alone(tmp_path: Path, how: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(Interrupting(tmp_path, 2))
    assert Checkpoints(tmp_path, "this").load() is not None
    (path,) = tmp_path.glob("*.safetensors")
    if how == "flipped byte":
        data = bytearray(path.read_bytes())
        data[-5] ^= 1
        path.write_bytes(data)
    elif how == "cut off":
        (tmp_path / "state.json").write_text('{"fingerprint": "this"')
    elif how == "no tensors":
        path.unlink()
    assert Checkpoints(tmp_path, "that" if how == "other fingerprint" else "this").load() is None


def test_settings_and_files_are_the_fingerprint(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    file.write_text("1")
    first = fingerprint({"a": 1}, [tmp_path])
    assert first == fingerprint({"a": 1}, [tmp_path])
    assert first != fingerprint({"a": 2}, [tmp_path])
    file.write_text("2")
    assert first != fingerprint({"a": 1}, [tmp_path])

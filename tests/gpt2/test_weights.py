"""A weights folder holds what was put in, is mapped and not copied, and damage is one line."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import MINI_DIR
from full_disk import little_room

from spam_gpt2.common.files import InputError
from spam_gpt2.gpt2.config import CONFIG_FILE, GPT2Config, Origin, read_config
from spam_gpt2.gpt2.model import GPT2
from spam_gpt2.gpt2.weights import (
    WEIGHTS_FILE,
    build_gpt2,
    load_gpt2,
    load_tensors,
    random_gpt2,
    save_tensors,
    save_weights,
)

MAPS_PATH = Path("/proc/self/maps")


@pytest.fixture
def weights_dir(tmp_path: Path, tiny_gpt2: GPT2) -> Path:
    """A weights folder of the tiny model."""
    folder = tmp_path / "weights"
    save_weights(folder, tiny_gpt2.config, dict(tiny_gpt2.named_parameters()), "tiny", MINI_DIR)
    return folder


def refusal(load: Callable[[Path], object], path: Path) -> str:
    """The one line with which a folder or file is refused."""
    with pytest.raises(InputError) as caught:
        load(path)
    message = str(caught.value)
    assert "\n" not in message
    return message


def edit_config(folder: Path, **changes: object) -> None:
    values = json.loads((folder / CONFIG_FILE).read_text())
    (folder / CONFIG_FILE).write_text(json.dumps(values | changes))


def test_what_is_saved_is_loaded_again(weights_dir: Path, tiny_gpt2: GPT2) -> None:
    model, origin = load_gpt2(weights_dir)
    assert model.config == tiny_gpt2.config
    assert origin.name == "tiny"
    loaded = dict(model.named_parameters())
    assert loaded.keys() == dict(tiny_gpt2.named_parameters()).keys()
    for name, parameter in tiny_gpt2.named_parameters():
        assert torch.equal(loaded[name], parameter), name
    tokens = torch.arange(20)[None]
    with torch.inference_mode():
        torch.testing.assert_close(model(tokens), tiny_gpt2(tokens))


def test_the_folder_has_the_vocabulary_and_the_digest_of_the_weights(weights_dir: Path) -> None:
    digest = hashlib.sha256((weights_dir / WEIGHTS_FILE).read_bytes()).hexdigest()
    config, origin = read_config(weights_dir)
    assert origin == Origin("tiny", digest)
    assert config == GPT2Config(n_vocab=4096, n_ctx=64, n_embd=32, n_head=4, n_layer=3)
    for name in ("encoder.json", "vocab.bpe"):
        assert (weights_dir / name).read_bytes() == (MINI_DIR / name).read_bytes()


def test_the_digest_tells_weights_apart(weights_dir: Path, tiny_gpt2: GPT2) -> None:
    _, first = read_config(weights_dir)
    same = {name: parameter.clone() for name, parameter in tiny_gpt2.named_parameters()}
    save_weights(weights_dir, tiny_gpt2.config, same, "tiny", MINI_DIR)
    assert read_config(weights_dir)[1] == first
    same["ln_f.bias"][0] += 1
    save_weights(weights_dir, tiny_gpt2.config, same, "tiny", MINI_DIR)
    assert read_config(weights_dir)[1].sha256 != first.sha256


@pytest.mark.skipif(not MAPS_PATH.exists(), reason="only Linux tells what is mapped where")
def test_loaded_weights_lie_in_the_mapped_file(weights_dir: Path) -> None:
    model, _ = load_gpt2(weights_dir)
    mapped = []
    for line in MAPS_PATH.read_text().splitlines():
        if line.endswith(str((weights_dir / WEIGHTS_FILE).resolve())):
            mapped.append(range(*(int(end, 16) for end in line.split()[0].split("-"))))
    assert mapped
    for name, parameter in model.named_parameters():
        assert any(parameter.data_ptr() in addresses for addresses in mapped), name


def test_changing_loaded_weights_leaves_the_file_alone(weights_dir: Path) -> None:
    before = (weights_dir / WEIGHTS_FILE).read_bytes()
    model, _ = load_gpt2(weights_dir)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    assert (weights_dir / WEIGHTS_FILE).read_bytes() == before
    assert load_gpt2(weights_dir)[0].wte.weight.std() > 0.01


def test_no_room_for_the_weights_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / WEIGHTS_FILE
    with little_room(10_000):
        line = refusal(lambda path: save_tensors(path, {"wte": torch.zeros(5_000)}), path)
    assert line.startswith(f"{path}: cannot be written: ")
    assert "File too large" in line
    assert list(tmp_path.iterdir()) == []


def test_no_config_appears_when_saving_breaks_off(tmp_path: Path, tiny_gpt2: GPT2) -> None:
    weights = dict(tiny_gpt2.named_parameters())
    with pytest.raises(OSError, match=r"encoder\.json"):
        save_weights(tmp_path / "weights", tiny_gpt2.config, weights, "tiny", tmp_path)
    assert not (tmp_path / "weights" / CONFIG_FILE).exists()


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    assert refusal(load_gpt2, tmp_path).startswith(f"{tmp_path / CONFIG_FILE}: no such file; ")


def test_missing_weights_are_named(weights_dir: Path) -> None:
    (weights_dir / WEIGHTS_FILE).unlink()
    assert refusal(load_gpt2, weights_dir).startswith(f"{weights_dir / WEIGHTS_FILE}: no such file")


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
def test_truncated_weights_are_named(weights_dir: Path, share: float) -> None:
    path = weights_dir / WEIGHTS_FILE
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    assert refusal(load_gpt2, weights_dir).startswith(f"{path}: damaged: ")


def test_weights_of_something_else_are_named(weights_dir: Path) -> None:
    path = weights_dir / WEIGHTS_FILE
    path.write_bytes(b"<html>not found</html>" * 20)
    assert refusal(load_gpt2, weights_dir).startswith(f"{path}: damaged: ")


def test_weights_that_do_not_fit_the_config_are_refused(weights_dir: Path, tiny_gpt2: GPT2) -> None:
    edit_config(weights_dir, hparams=vars(dataclasses.replace(tiny_gpt2.config, n_ctx=65)))
    assert refusal(load_gpt2, weights_dir) == (
        "weights: tensor wpe.weight has shape (64, 32), expected (65, 32)"
    )
    edit_config(weights_dir, hparams=vars(dataclasses.replace(tiny_gpt2.config, n_layer=4)))
    assert refusal(load_gpt2, weights_dir) == "weights: tensor h.3.attn.c_attn.bias is missing"


@pytest.mark.parametrize("change", ["missing", "left over"])
def test_a_tensor_that_is_missing_or_left_over_is_named(
    weights_dir: Path, tiny_gpt2: GPT2, change: str
) -> None:
    weights = dict(tiny_gpt2.named_parameters())
    if change == "missing":
        del weights["h.1.mlp.c_fc.bias"]
        expected = "weights: tensor h.1.mlp.c_fc.bias is missing"
    else:
        weights["lm_head.weight"] = torch.zeros(2)
        expected = "weights: tensor lm_head.weight is not one of GPT-2's"
    save_tensors(weights_dir / WEIGHTS_FILE, weights)
    assert refusal(load_gpt2, weights_dir) == expected


def test_tensors_of_any_kind_come_back(tmp_path: Path) -> None:
    tensors = {
        "turned": torch.arange(6.0).view(2, 3).T,  # not contiguous
        "numbers": torch.tensor([1, -(2**60)]),
        "one": torch.tensor(3),
        "none": torch.empty(0, 5),
    }
    save_tensors(tmp_path / "tensors", tensors)
    loaded = load_tensors(tmp_path / "tensors")
    assert loaded.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert loaded[name].dtype == tensor.dtype
        assert torch.equal(loaded[name], tensor)


def test_the_same_tensors_give_the_same_bytes_in_any_order(tmp_path: Path) -> None:
    tensors = {"a": torch.ones(3), "b": torch.zeros(2, 2), "c": torch.arange(4)}
    save_tensors(tmp_path / "first", tensors)
    save_tensors(tmp_path / "second", dict(reversed(tensors.items())))
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()


def test_tensors_that_cannot_be_saved_leave_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "tensors"
    save_tensors(path, {"a": torch.ones(2)})
    shared = torch.zeros(4)
    with pytest.raises(RuntimeError):
        save_tensors(path, {"a": shared, "b": shared})
    assert load_tensors(path)["a"].tolist() == [1, 1]
    assert [file.name for file in tmp_path.iterdir()] == ["tensors"]


def test_a_copy_of_the_folder_elsewhere_loads(weights_dir: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(weights_dir, tmp_path / "elsewhere")
    assert load_gpt2(copy)[1] == load_gpt2(weights_dir)[1]


def test_random_weights_depend_on_the_seed_alone() -> None:
    config = GPT2Config(n_vocab=11, n_ctx=7, n_embd=4, n_head=2, n_layer=2)
    first, again, other = (dict(random_gpt2(config, s).named_parameters()) for s in (1, 1, 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["wte.weight"], other["wte.weight"])


def test_the_model_is_the_pretrained_or_a_random_one_and_says_which(
    weights_dir: Path, tiny_gpt2: GPT2
) -> None:
    _, stored = read_config(weights_dir)
    pretrained, origin = build_gpt2(weights_dir, "pretrained", 5)
    assert torch.equal(pretrained.wte.weight, tiny_gpt2.wte.weight)
    assert origin == stored
    drawn, origin = build_gpt2(weights_dir, "random", 5)
    assert torch.equal(drawn.wte.weight, random_gpt2(tiny_gpt2.config, seed=5).wte.weight)
    assert origin == Origin("random (tiny)", stored.sha256)

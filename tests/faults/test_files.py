"""Files of strangers: every wrong value, tensor and byte is one line that says which, and soon."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import MINI_DIR, TINY
from decided import save_decision_for
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from trained import save_trained

from spam_gpt2.classifier.decision import load_decision
from spam_gpt2.classifier.predict import Predictor
from spam_gpt2.common import verified
from spam_gpt2.common.files import InputError, sha256_of, write_json
from spam_gpt2.common.labels import LABELS_PATH, read_labels
from spam_gpt2.features import plan as plans
from spam_gpt2.features.features import extract_features, load_features, save_features
from spam_gpt2.gpt2.batching import encode_messages
from spam_gpt2.gpt2.config import read_config
from spam_gpt2.gpt2.head import GPT2Classifier
from spam_gpt2.gpt2.manifest import find_checkpoint
from spam_gpt2.gpt2.tf_checkpoint import OPENAI_FILES, read_hparams
from spam_gpt2.gpt2.tokenizer import load_tokenizer
from spam_gpt2.gpt2.weights import load_gpt2, random_gpt2, save_weights

Load = Callable[[Path], object]
PLAN = plans.Plan(2, 24, False, True, "pretrained", None, None)
WEIGHTS, TENSORS = "models/gpt2/weights.safetensors", "models/classifier/classifier.safetensors"


def predictor(root: Path) -> Predictor:
    return Predictor.load(root / "models/classifier", root / "models/gpt2")


def decision(root: Path) -> object:
    card_path = root / "models/classifier/classifier.json"
    return load_decision(root / "models/decision", card_path, ["ham", "spam"])


# Each JSON file and what reads it.
READERS: dict[str, Load] = {
    "models/classifier/classifier.json": predictor,
    "models/decision/decision.json": decision,
    "models/gpt2/config.json": lambda root: read_config(root / "models/gpt2"),
    "models/checkpoint/hparams.json": lambda root: read_hparams(root / "models/checkpoint"),
    "models/checkpoint.json": lambda root: find_checkpoint(root / "models/checkpoint.json"),
    "data/features/plan.json": lambda root: plans.load_plan(TINY),
    "data/prepared/labels.json": lambda root: read_labels(root / LABELS_PATH),
}
WRONG = [
    None, True, False, "", "text", "../../etc/passwd", "\x1b[2J", 0, -1, 0.5, 1e308, 10**6, 2**31,
    2**63, 2**70, [], [[]], ["ham"], ["ham", "ham"], [1, 2], {}, {"a": 1}, "x" * 10**5,
]  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What a pipeline leaves, with a tiny model; the working folder, as plans have it."""
    folder = tmp_path_factory.mktemp("strangers")
    save_trained(folder, random_gpt2(TINY, 1))
    card_path, labels = folder / "models/classifier/classifier.json", ["ham", "spam"]
    save_decision_for(card_path, folder / "models/decision", labels)
    write_json(folder / "models/checkpoint/hparams.json", vars(TINY))
    digests = dict.fromkeys(OPENAI_FILES, "0" * 64)
    write_json(folder / "models/checkpoint.json", {"name": "tiny", "sha256": digests})
    write_json(folder / plans.PLAN_PATH, asdict(PLAN))
    write_json(folder / LABELS_PATH, ["ham", "spam"])
    here = Path.cwd()
    os.chdir(folder)
    yield folder
    os.chdir(here)


@contextmanager
def replaced(path: Path, content: bytes) -> Iterator[None]:
    """Other bytes in a file, for a while."""
    before = path.read_bytes()
    path.write_bytes(content)
    try:
        yield
    finally:
        path.write_bytes(before)


def refusal(load: Load, root: Path) -> str:
    """The line with which a folder is refused, empty when it is taken; nothing else is raised."""
    began = time.monotonic()
    try:
        load(root)
    except InputError as error:
        line = str(error)
    else:
        line = ""
    assert time.monotonic() - began < 10
    assert "\n" not in line
    assert len(line) < 500
    return line


def refused_with(root: Path, file: str, change: Callable[[Any], Any]) -> str:
    path = root / file
    values = json.loads(path.read_text())
    with replaced(path, json.dumps(change(values)).encode()):
        return refusal(READERS[file], root)


def keys_of(file: str, values: Any) -> list[tuple[str, ...]]:
    """Every key of a JSON file, those of sections too."""
    if not isinstance(values, dict):
        return []
    inner = [(k, *rest) for k, v in values.items() for rest in keys_of(file, v)]
    return [*((key,) for key in values), *inner]


def with_value(values: Any, key: tuple[str, ...], value: Any) -> Any:
    changed = json.loads(json.dumps(values))
    here = changed
    for part in key[:-1]:
        here = here[part]
    here[key[-1]] = value
    return changed


@pytest.mark.parametrize("file", READERS)
def test_a_whole_file_is_taken(root: Path, file: str) -> None:
    line = refusal(READERS[file], root)
    assert line == "" or file == "models/checkpoint.json"  # whose seven files are not there
    assert "not one of" not in line


@pytest.mark.parametrize("file", READERS)
def test_every_key_with_a_wrong_value_is_named(root: Path, file: str) -> None:
    """A value that fits by chance is taken; what must not be taken is in the test below."""
    values = json.loads((root / file).read_text())
    for key in keys_of(file, values):
        refused = 0
        for value in WRONG:
            line = refused_with(root, file, lambda old, k=key, v=value: with_value(old, k, v))
            refused += bool(line)
            assert line == "" or Path(file).name in line or "models/" in line, line
        assert refused >= len(WRONG) // 2, key


@pytest.mark.parametrize("file", READERS)
@pytest.mark.parametrize(
    "content",
    [b"", b"null", b"5", b"[]", b"{}", b"{", b'"x"', b"\xff", b"[" * 200_000, b'{"a":' * 100_000,
     b'{"name": NaN}', b"9" * 5_000, b"<html>", b'{"n_layer": 1, "n_layer": 1}', b"[1e999]"],
)  # fmt: skip
def test_a_file_of_something_else_is_named(root: Path, file: str, content: bytes) -> None:
    with replaced(root / file, content):
        line = refusal(READERS[file], root)
    assert Path(file).name in line


@pytest.mark.parametrize("file", ["models/gpt2/config.json", "models/checkpoint/hparams.json"])
@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("n_layer", 1_000_000, "n_layer: must be at most 1000, not 1000000"),
        ("n_vocab", 2**40, "n_vocab: must be at most 1048576, not 1099511627776"),
        ("n_ctx", 10**9, "n_ctx: must be at most 131072, not 1000000000"),
        ("n_embd", 2**20, "n_embd: must be at most 32768, not 1048576"),
        ("n_head", 0, "n_head: must be at least 1, not 0"),
        ("n_layer", True, "n_layer: must be a whole number, not true"),
        ("n_layer", "3", 'n_layer: must be a whole number, not "3"'),
        ("n_head", 5, "n_embd 32 is not a multiple of n_head 5"),
        ("n_embd", 32768, "parameters in all, more than 10,000,000,000"),
    ],
)
def test_absurd_sizes_are_refused_before_anything_is_allocated(
    root: Path, file: str, key: str, value: Any, problem: str
) -> None:
    place = ("hparams", key) if file.endswith("config.json") else (key,)
    line = refused_with(root, file, lambda old: with_value(old, place, value))
    assert line.startswith(str(root / file))
    assert problem in line


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("cut", 4, "cut: 4 is more than the model's n_layer 3"),
        ("max_length", 65, "max_length: 65 is more than the model's n_ctx 64"),
        ("init", "random", "init_seed: random weights need one"),
        ("pad", 1, "pad: must be true or false, not 1"),
    ],
)
def test_a_plan_of_another_model_is_named(root: Path, key: str, value: Any, problem: str) -> None:
    line = refused_with(root, "data/features/plan.json", lambda old: old | {key: value})
    assert line.startswith(str(plans.PLAN_PATH))
    assert problem in line


def test_a_classifier_longer_than_the_context_is_named(root: Path) -> None:
    file = "models/classifier/classifier.json"
    line = refused_with(root, file, lambda old: old | {"max_length": 65})
    assert line == (
        f"{root / file}: max_length: 65 is more than the context of 64 tokens; run `dvc repro`"
    )


def test_a_manifest_cannot_name_files_elsewhere(root: Path) -> None:
    file = "models/checkpoint.json"
    line = refused_with(root, file, lambda old: old | {"sha256": {"../../secret": "0" * 64}})
    assert "sha256: OpenAI's seven files or Hugging Face's four were expected" in line


def test_a_vocabulary_that_does_not_fit_the_weights_is_one_line(tmp_path: Path) -> None:
    smaller = random_gpt2(type(TINY)(**vars(TINY) | {"n_vocab": 4095}), 1)
    save_trained(tmp_path, smaller)
    assert refusal(predictor, tmp_path) == (
        f"{tmp_path / 'models/gpt2'}: the vocabulary has 4,096 tokens, but the model 4,095; "
        "take vocabulary and weights from one checkpoint"
    )


@pytest.mark.parametrize("file", ["encoder.json", "vocab.bpe"])
@pytest.mark.parametrize("content", [b"", b"{}", b"[" * 200_000, b"\xff\xfe", b"#version\na b c\n"])
def test_a_vocabulary_of_something_else_is_one_line(
    tmp_path: Path, file: str, content: bytes
) -> None:
    for name in ("encoder.json", "vocab.bpe"):
        shutil.copyfile(MINI_DIR / name, tmp_path / name)
    (tmp_path / file).write_bytes(content)
    assert str(tmp_path) in refusal(load_tokenizer, tmp_path)


def flip(path: Path, at: int) -> None:
    """Turn a bit of one byte, and set the times back as if nothing had happened."""
    before = path.stat()
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def tensor_places(path: Path) -> dict[str, int]:
    """A byte in the middle of each tensor of a safetensors file, as its format has them."""
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    ends = {k: v["data_offsets"] for k, v in header.items() if k != "__metadata__"}
    return {name: 8 + size + (start + end) // 2 for name, (start, end) in ends.items()}


def check_flips(root: Path, file: str, step: int) -> int:
    places = list(tensor_places(root / file).values())[::step]
    for at in places:
        flip(root / file, at)
        assert "not the file that was written, by its SHA-256" in refusal(predictor, root)
        flip(root / file, at)
    assert refusal(predictor, root) == ""
    return len(places)


@pytest.mark.parametrize("file", [WEIGHTS, TENSORS])
def test_a_flipped_bit_is_told(root: Path, file: str) -> None:
    assert check_flips(root, file, 8) >= 2


@pytest.mark.full
@pytest.mark.parametrize("file", [WEIGHTS, TENSORS])
def test_a_flipped_bit_of_any_tensor_is_told(root: Path, file: str) -> None:
    assert check_flips(root, file, 1) >= 16


def test_a_version_of_a_file_is_hashed_once(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(root / "models", tmp_path / "models")
    monkeypatch.setattr(verified, "SETTLED", -1.0)  # a test does not wait for the clock
    hashed: list[str] = []

    def counted(path: Path) -> str:
        hashed.append(path.name)
        return sha256_of(path)

    monkeypatch.setattr("spam_gpt2.gpt2.weights.sha256_of", counted)
    names = ["weights.safetensors", "classifier.safetensors"]
    predictor(tmp_path)
    assert hashed == names
    predictor(tmp_path)
    assert hashed == names
    time.sleep(0.02)  # the clock of a file's times has steps
    flip(tmp_path / WEIGHTS, tensor_places(tmp_path / WEIGHTS)["wte.weight"])
    assert "by its SHA-256" in refusal(predictor, tmp_path)
    flip(tmp_path / WEIGHTS, tensor_places(tmp_path / WEIGHTS)["wte.weight"])
    for record in (tmp_path / "models").glob(".*.verified"):
        record.write_bytes(b"damaged")
    predictor(tmp_path)
    assert hashed == [*names, names[0], *names]
    inside = [path.name for path in (tmp_path / "models/gpt2").iterdir()]
    assert not [name for name in inside if name.endswith("verified")]  # DVC would see a change


def test_what_was_just_written_is_not_remembered(tmp_path: Path) -> None:
    path = tmp_path / "folder/file"
    path.parent.mkdir()
    path.write_bytes(b"x")
    verified.remember(path, sha256_of(path))
    assert not verified.is_verified(path, sha256_of(path))


BAD_TENSORS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "NaN": lambda tensor: tensor.clone().flatten().index_fill(
        0, torch.tensor([0]), float("nan")
    ).view_as(tensor),
    "infinite": lambda tensor: torch.full_like(tensor, float("-inf")),
    "of doubles": lambda tensor: tensor.double(),
    "of integers": lambda tensor: tensor.to(torch.int32),
    "of another shape": lambda tensor: tensor[None].contiguous(),
    "empty": lambda tensor: tensor.flatten()[:0].clone(),
}  # fmt: skip


def check_tensors(root: Path, file: str, step: int, kind: str) -> int:
    """Each tensor made bad, with the digest of the new file where it is looked for."""
    path = root / file
    json_path = path.parent / ("config.json" if file == WEIGHTS else "classifier.json")
    key = "weights_sha256" if file == WEIGHTS else "tensors_sha256"
    whole = {name: tensor.clone() for name, tensor in load_file(path).items()}
    names = list(whole)[::step]
    before, values = path.read_bytes(), json.loads(json_path.read_text())
    load: Load = (lambda root: load_gpt2(root / "models/gpt2")) if file == WEIGHTS else predictor
    for name in names:
        path.unlink()
        save_file(whole | {name: BAD_TENSORS[kind](whole[name])}, path)
        changed = json.dumps(values | {key: sha256_of(path)}).encode()
        with replaced(json_path, changed):
            assert f"tensor {name}" in refusal(load, root), (name, kind)
    path.unlink()
    path.write_bytes(before)
    return len(names)


@pytest.mark.parametrize("kind", BAD_TENSORS)
@pytest.mark.parametrize("file", [WEIGHTS, TENSORS])
def test_a_tensor_that_cannot_be_is_named(root: Path, file: str, kind: str) -> None:
    assert check_tensors(root, file, 12, kind) >= 2


@pytest.mark.full
@pytest.mark.parametrize("kind", BAD_TENSORS)
@pytest.mark.parametrize("file", [WEIGHTS, TENSORS])
def test_any_tensor_that_cannot_be_is_named(root: Path, file: str, kind: str) -> None:
    assert check_tensors(root, file, 1, kind) >= 16


def test_a_checkpoint_with_a_nan_is_not_converted(tmp_path: Path) -> None:
    weights = {k: p.detach().clone() for k, p in random_gpt2(TINY, 1).named_parameters()}
    weights["h.1.ln_2.bias"][3] = float("nan")
    with pytest.raises(InputError, match=r"tensor h\.1\.ln_2\.bias has values that are no finite"):
        save_weights(tmp_path / "weights", TINY, weights, "tiny", MINI_DIR)
    assert not (tmp_path / "weights").exists()


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("tokens", lambda t: t.float()), ("tokens", lambda t: -t - 1), ("tokens", lambda t: t[:-1]),
        ("tokens", lambda t: t[None]), ("tokens", lambda t: t + 2**40),
        ("offsets", lambda t: t.flip(0)),
        ("offsets", lambda t: t[:0]), ("rows", lambda t: t + 100), ("rows", lambda t: t[:-1]),
        ("labels", lambda t: -t - 1), ("cut", lambda t: t * 0), ("cut", lambda t: t[None]),
        ("hidden", lambda t: t[:-1]), ("hidden", lambda t: t.double()),
        ("hidden", lambda t: t * torch.nan),
        ("other", lambda t: torch.zeros(3)),
    ],
)  # fmt: skip
def test_features_that_do_not_go_together_are_one_line(
    tmp_path: Path, name: str, change: Callable[[torch.Tensor], torch.Tensor]
) -> None:
    classifier = GPT2Classifier(random_gpt2(TINY, 1), 2, "last_token")
    messages = encode_messages(load_tokenizer(MINI_DIR), ["one two", "three", "one two"], 24)
    path = tmp_path / "features.safetensors"
    save_features(path, extract_features(classifier, messages, torch.tensor([0, 1, 0]), 2, 64))
    assert refusal(load_features, path) == ""
    tensors = {k: t.clone() for k, t in load_file(path).items()}
    path.unlink()
    save_file(tensors | {name: change(tensors.get(name)).contiguous()}, path)
    line = refusal(load_features, path)
    assert line.startswith(f"{path}: tensor ")
    assert line.endswith("; `dvc repro extract_features`")


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@pytest.mark.full
@pytest.mark.parametrize("file", READERS)
@settings(max_examples=1_000)
@given(data=st.data())
def test_any_value_of_any_key_of_any_file(root: Path, file: str, data: st.DataObject) -> None:
    values = json.loads((root / file).read_text())
    keys = keys_of(file, values)
    value = data.draw(ANYTHING)
    if keys:
        key = data.draw(st.sampled_from(keys))
        refused_with(root, file, lambda old: with_value(old, key, value))
    else:
        refused_with(root, file, lambda old: value)

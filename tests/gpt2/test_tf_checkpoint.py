"""OpenAI's checkpoint is read whole and right, or refused in one line that says what is wrong."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import MINI_DIR, ROOT

from spam_gpt2.common.files import InputError
from spam_gpt2.gpt2.config import GPT2Config
from spam_gpt2.gpt2.model import expected_shapes
from spam_gpt2.gpt2.tf_checkpoint import (
    DATA_FILE,
    OPENAI_FILES,
    openai_name,
    openai_settings_and_params,
    read_checkpoint,
    read_hparams,
    write_checkpoint,
)

REAL_DIR = ROOT.parent / "shared/data/gpt2-124M"
INDEX_FILE = "model.ckpt.index"
SMALL = GPT2Config(n_vocab=11, n_ctx=7, n_embd=4, n_head=2, n_layer=2)
AGAIN = "&& dvc repro --force fetch_gpt2"

needs_real_files = pytest.mark.skipif(
    not REAL_DIR.is_dir(), reason="no folder with OpenAI's own files beside the repository"
)


@pytest.fixture(scope="module")
def weights() -> dict[str, np.ndarray]:
    """A different number in every place of every tensor."""
    shapes = expected_shapes(SMALL)
    numbers = iter(np.arange(SMALL.n_parameters, dtype=np.float32))
    return {
        name: np.fromiter(numbers, np.float32, count=int(np.prod(shape))).reshape(shape)
        for name, shape in shapes.items()
    }


@pytest.fixture(scope="module")
def small_dir(tmp_path_factory: pytest.TempPathFactory, weights: dict[str, np.ndarray]) -> Path:
    """A good checkpoint, to copy."""
    folder = tmp_path_factory.mktemp("small")
    write_checkpoint(folder, SMALL, weights, MINI_DIR)
    return folder


@pytest.fixture
def checkpoint_dir(small_dir: Path, tmp_path: Path) -> Path:
    """A copy of a good checkpoint, to spoil."""
    return Path(shutil.copytree(small_dir, tmp_path / "checkpoint"))


def tensorflow_arrays(folder: Path) -> dict[str, np.ndarray]:
    """What TensorFlow alone finds in a checkpoint."""
    import tensorflow as tf

    reader = tf.train.load_checkpoint(str(folder / "model.ckpt"))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def save_with_tensorflow(folder: Path, arrays: dict[str, np.ndarray]) -> None:
    """Replace the checkpoint in a folder by any tensors."""
    import tensorflow as tf

    names = list(arrays)
    tf.raw_ops.SaveV2(
        prefix=str(folder / "model.ckpt"),
        tensor_names=names,
        shape_and_slices=[""] * len(names),
        tensors=[tf.constant(arrays[name]) for name in names],
    )


def refusal(read: Callable[[Path], object], folder: Path) -> str:
    """The one line with which a checkpoint is refused."""
    with pytest.raises(InputError) as caught:
        read(folder)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_what_is_written_is_read_again(small_dir: Path, weights: dict[str, np.ndarray]) -> None:
    config, read = read_checkpoint(small_dir)
    assert config == read_hparams(small_dir) == SMALL
    assert read.keys() == weights.keys()
    for name, array in read.items():
        assert array.dtype == np.float32
        assert array.flags.c_contiguous
        np.testing.assert_array_equal(array, weights[name], err_msg=name)


def test_the_seven_files_are_written_and_a_copy_elsewhere_can_be_read(small_dir: Path) -> None:
    assert sorted(path.name for path in small_dir.iterdir()) == sorted(OPENAI_FILES)
    assert str(small_dir) not in (small_dir / "checkpoint").read_text()
    assert json.loads((small_dir / "hparams.json").read_text()) == {
        "n_vocab": 11, "n_ctx": 7, "n_embd": 4, "n_head": 2, "n_layer": 2
    }  # fmt: skip
    for name in ("encoder.json", "vocab.bpe"):
        assert (small_dir / name).read_bytes() == (MINI_DIR / name).read_bytes()


def test_the_same_weights_give_the_same_data_and_index(
    small_dir: Path, weights: dict[str, np.ndarray], tmp_path: Path
) -> None:
    write_checkpoint(tmp_path, SMALL, weights, MINI_DIR)
    for name in (DATA_FILE, INDEX_FILE):
        assert (tmp_path / name).read_bytes() == (small_dir / name).read_bytes()


def test_openais_arrays_are_ours_with_convolutions_turned(
    small_dir: Path, weights: dict[str, np.ndarray]
) -> None:
    theirs = tensorflow_arrays(small_dir)
    assert len(theirs) == len(weights) == 4 + 12 * SMALL.n_layer
    assert theirs["model/h1/mlp/c_fc/w"].shape == (1, 4, 16)
    for i in range(SMALL.n_layer):
        for layer in ("attn/c_attn", "attn/c_proj", "mlp/c_fc", "mlp/c_proj"):
            ours = weights[f"h.{i}.{layer.replace('/', '.')}.weight"]
            np.testing.assert_array_equal(theirs[f"model/h{i}/{layer}/w"], [ours.T])
            ours = weights[f"h.{i}.{layer.replace('/', '.')}.bias"]
            np.testing.assert_array_equal(theirs[f"model/h{i}/{layer}/b"], ours)
    np.testing.assert_array_equal(theirs["model/wpe"], weights["wpe.weight"])
    np.testing.assert_array_equal(theirs["model/ln_f/g"], weights["ln_f.weight"])


@needs_real_files
def test_names_and_shapes_are_those_of_openais_own_index() -> None:
    import tensorflow as tf

    shapes = tf.train.load_checkpoint(str(REAL_DIR / "model.ckpt")).get_variable_to_shape_map()
    config = read_hparams(REAL_DIR)
    assert config == GPT2Config(n_vocab=50257, n_ctx=1024, n_embd=768, n_head=12, n_layer=12)
    ours = expected_shapes(config)
    assert {openai_name(name) for name in ours} == shapes.keys()
    for name, shape in ours.items():
        theirs = tuple(shapes[openai_name(name)])
        assert shape == (theirs[:0:-1] if len(theirs) == 3 else theirs)


@needs_real_files
def test_openais_own_download_that_broke_off_is_refused(tmp_path: Path) -> None:
    for path in REAL_DIR.iterdir():
        shutil.copyfile(path, tmp_path / path.name.removesuffix(".truncated"))
    message = refusal(read_checkpoint, tmp_path)
    assert message.startswith(f"{tmp_path / DATA_FILE}: truncated or damaged at tensor model/")
    assert message.endswith(AGAIN)


def test_nested_parameters_have_five_keys_and_openais_values(small_dir: Path) -> None:
    settings, params = openai_settings_and_params(small_dir)
    assert settings == {"n_vocab": 11, "n_ctx": 7, "n_embd": 4, "n_head": 2, "n_layer": 2}
    assert params.keys() == {"wte", "wpe", "blocks", "g", "b"}
    theirs = tensorflow_arrays(small_dir)
    for key, name in {"wte": "wte", "wpe": "wpe", "g": "ln_f/g", "b": "ln_f/b"}.items():
        np.testing.assert_array_equal(params[key], theirs[f"model/{name}"])
    assert len(params["blocks"]) == 2
    for i, block in enumerate(params["blocks"]):
        assert block.keys() == {"ln_1", "attn", "ln_2", "mlp"}
        for norm in ("ln_1", "ln_2"):
            assert block[norm].keys() == {"g", "b"}
            np.testing.assert_array_equal(block[norm]["g"], theirs[f"model/h{i}/{norm}/g"])
            np.testing.assert_array_equal(block[norm]["b"], theirs[f"model/h{i}/{norm}/b"])
        for part, layers in {"attn": ["c_attn", "c_proj"], "mlp": ["c_fc", "c_proj"]}.items():
            assert sorted(block[part]) == sorted(layers)
            for layer in layers:
                assert block[part][layer].keys() == {"w", "b"}
                w, b = (theirs[f"model/h{i}/{part}/{layer}/{key}"] for key in "wb")
                np.testing.assert_array_equal(block[part][layer]["w"], w[0])
                np.testing.assert_array_equal(block[part][layer]["b"], b)


def test_shapes_of_the_nested_parameters_are_documented_ones(small_dir: Path) -> None:
    _, params = openai_settings_and_params(small_dir)
    assert params["wte"].shape == (11, 4)
    assert params["wpe"].shape == (7, 4)
    assert params["g"].shape == params["b"].shape == (4,)
    block = params["blocks"][0]
    assert block["attn"]["c_attn"]["w"].shape == (4, 12)
    assert block["attn"]["c_attn"]["b"].shape == (12,)
    assert block["mlp"]["c_proj"]["w"].shape == (16, 4)


readers = pytest.mark.parametrize("read", [read_checkpoint, openai_settings_and_params])


@readers
@pytest.mark.parametrize("share", [0.0, 0.5, 0.999])
def test_truncated_data_is_refused(
    checkpoint_dir: Path, share: float, read: Callable[[Path], object]
) -> None:
    path = checkpoint_dir / DATA_FILE
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    message = refusal(read, checkpoint_dir)
    assert message.startswith(f"{path}: truncated or damaged at tensor model/")
    assert message.endswith(AGAIN)


@readers
@pytest.mark.parametrize("where", [0.0, 0.3, 0.6, 1.0])
def test_one_bit_that_flipped_in_the_data_is_seen(
    checkpoint_dir: Path, where: float, read: Callable[[Path], object]
) -> None:
    path = checkpoint_dir / DATA_FILE
    content = bytearray(path.read_bytes())
    content[int(where * (len(content) - 1))] ^= 1
    path.write_bytes(content)
    message = refusal(read, checkpoint_dir)
    assert message.startswith(f"{path}: truncated or damaged at tensor model/")
    assert message.endswith(AGAIN)


@readers
@pytest.mark.parametrize("file", [DATA_FILE, INDEX_FILE])
def test_a_missing_file_is_named(
    checkpoint_dir: Path, file: str, read: Callable[[Path], object]
) -> None:
    (checkpoint_dir / file).unlink()
    message = refusal(read, checkpoint_dir)
    assert message.startswith(f"{checkpoint_dir / file}: no such file; fetch it again: rm -r ")
    assert message.endswith(AGAIN)


@pytest.mark.parametrize("file", ["checkpoint", "model.ckpt.meta", "encoder.json", "vocab.bpe"])
def test_files_that_hold_no_weights_are_not_needed(
    checkpoint_dir: Path, weights: dict[str, np.ndarray], file: str
) -> None:
    (checkpoint_dir / file).unlink()
    _, read = read_checkpoint(checkpoint_dir)
    np.testing.assert_array_equal(read["wte.weight"], weights["wte.weight"])


@readers
@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 0.99])
def test_a_truncated_index_is_refused(
    checkpoint_dir: Path, share: float, read: Callable[[Path], object]
) -> None:
    path = checkpoint_dir / INDEX_FILE
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    message = refusal(read, checkpoint_dir)
    assert message.startswith(f"{path}: damaged, ")
    assert message.endswith(AGAIN)


def test_a_bit_that_flipped_in_the_index_never_gives_other_weights(
    checkpoint_dir: Path, weights: dict[str, np.ndarray]
) -> None:
    """Most of the index is under a checksum of its own; a few bytes of it say nothing."""
    path = checkpoint_dir / INDEX_FILE
    content = path.read_bytes()
    refused = 0
    for at in range(len(content)):
        flipped = bytearray(content)
        flipped[at] ^= 0x10
        path.write_bytes(flipped)
        try:
            _, read = read_checkpoint(checkpoint_dir)
        except InputError:
            refused += 1
        else:
            for name, array in read.items():
                np.testing.assert_array_equal(array, weights[name])
    assert refused > 0.9 * len(content)


def test_an_index_of_noise_is_refused(checkpoint_dir: Path) -> None:
    path = checkpoint_dir / INDEX_FILE
    path.write_bytes(np.random.default_rng(0).bytes(len(path.read_bytes())))
    message = refusal(read_checkpoint, checkpoint_dir)
    assert message.startswith(f"{path}: damaged, ")


def write_hparams(folder: Path, **changes: object) -> None:
    values = json.loads((folder / "hparams.json").read_text()) | changes
    (folder / "hparams.json").write_text(json.dumps(values))


@readers
@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"n_vocab": 12}, r"tensor model/wte has shape \(11, 4\), .* asks for \(12, 4\)"),
        ({"n_ctx": 8}, r"tensor model/wpe has shape \(7, 4\), .* asks for \(8, 4\)"),
        ({"n_embd": 8}, r"tensor model/\S+ has shape .* the files are of different models"),
        ({"n_layer": 3}, r"no tensor model/h2/\S+; this is not the GPT-2"),
        ({"n_layer": 1}, r"tensor model/h1/\S+ has no place in the GPT-2"),
    ],
    ids=["n_vocab", "n_ctx", "n_embd", "more blocks", "fewer blocks"],
)
def test_hparams_of_another_size_are_refused(
    checkpoint_dir: Path,
    read: Callable[[Path], object],
    changes: dict[str, object],
    complaint: str,
) -> None:
    write_hparams(checkpoint_dir, **changes)
    with pytest.raises(InputError, match=complaint):
        read(checkpoint_dir)
    assert refusal(read, checkpoint_dir).startswith(f"{checkpoint_dir / INDEX_FILE}: ")


UNKNOWN = "unknown key, misspelt or of another version"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ('{"n_vocab": 11, "n_ctx": 7, "n_embd": 4, "n_head": 2}', "n_layer: is missing"),
        ('{"n_vocab": 11, "n_ctx": 7, "n_embd": 4, "n_head": 2, "n_layer": 2, "dropout": 0}',
         f"dropout: {UNKNOWN}"),
        ('{"vocab_size": 11, "n_positions": 7, "n_embd": 4, "n_head": 2, "n_layer": 2}',
         f"vocab_size: {UNKNOWN} (and 3 more)"),
        ("[11, 7, 4, 2, 2]", "must hold keys with values, not a list"),
        ("{}", "n_vocab: is missing (and 4 more)"),
        ("5", "must hold keys with values, not 5"),
        ("null", "must hold keys with values, not null"),
    ],
)  # fmt: skip
def test_hparams_that_are_not_openais_five_are_refused(
    checkpoint_dir: Path, content: str, problem: str
) -> None:
    path = checkpoint_dir / "hparams.json"
    path.write_text(content)
    expected = f"{path}: expected n_vocab, n_ctx, n_embd, n_head, n_layer: {problem}"
    assert refusal(read_hparams, checkpoint_dir) == expected
    assert refusal(read_checkpoint, checkpoint_dir) == expected


def test_hparams_that_are_damaged_or_missing_are_named(checkpoint_dir: Path) -> None:
    path = checkpoint_dir / "hparams.json"
    path.write_text('{"n_vocab": 11,')
    assert refusal(read_checkpoint, checkpoint_dir).startswith(f"{path}: cannot be read: ")
    path.unlink()
    assert refusal(read_checkpoint, checkpoint_dir).startswith(f"{path}: no such file; ")


def test_a_size_in_hparams_that_cannot_be_is_named(checkpoint_dir: Path) -> None:
    write_hparams(checkpoint_dir, n_head=3)
    assert "n_embd 4 is not a multiple of n_head 3" in refusal(read_checkpoint, checkpoint_dir)
    write_hparams(checkpoint_dir, n_head="2")
    assert refusal(read_checkpoint, checkpoint_dir).endswith(
        'n_head: must be a whole number, not "2"'
    )


@pytest.mark.parametrize("name", ["model/wpe", "model/h1/ln_2/b", "model/h0/mlp/c_proj/w"])
def test_a_tensor_that_is_missing_is_named(checkpoint_dir: Path, name: str) -> None:
    arrays = tensorflow_arrays(checkpoint_dir)
    del arrays[name]
    save_with_tensorflow(checkpoint_dir, arrays)
    message = refusal(read_checkpoint, checkpoint_dir)
    assert message.startswith(f"{checkpoint_dir / INDEX_FILE}: no tensor {name};")


@pytest.mark.parametrize("name", ["global_step", "model/h2/ln_1/g", "model/wte/Adam"])
def test_a_tensor_too_many_is_named(checkpoint_dir: Path, name: str) -> None:
    arrays = tensorflow_arrays(checkpoint_dir)
    save_with_tensorflow(checkpoint_dir, arrays | {name: np.zeros(3, np.float32)})
    message = refusal(read_checkpoint, checkpoint_dir)
    assert message.startswith(f"{checkpoint_dir / INDEX_FILE}: tensor {name} has no place")


def test_the_checkpoint_of_something_else_is_refused(checkpoint_dir: Path) -> None:
    save_with_tensorflow(checkpoint_dir, {"dense/kernel": np.zeros((2, 3), np.float32)})
    assert "this is not the GPT-2 that hparams.json describes" in refusal(
        read_checkpoint, checkpoint_dir
    )


def test_a_tensor_of_another_shape_is_named(checkpoint_dir: Path) -> None:
    arrays = tensorflow_arrays(checkpoint_dir)
    turned = arrays["model/h0/mlp/c_fc/w"].transpose(0, 2, 1)
    save_with_tensorflow(checkpoint_dir, arrays | {"model/h0/mlp/c_fc/w": turned})
    message = refusal(read_checkpoint, checkpoint_dir)
    assert "tensor model/h0/mlp/c_fc/w has shape (1, 16, 4)" in message
    assert "asks for (1, 4, 16)" in message


def test_a_checkpoint_rewritten_by_tensorflow_alone_is_read(
    checkpoint_dir: Path, weights: dict[str, np.ndarray]
) -> None:
    """Else the refusals above could come from how these tests write."""
    save_with_tensorflow(checkpoint_dir, tensorflow_arrays(checkpoint_dir))
    _, read = read_checkpoint(checkpoint_dir)
    np.testing.assert_array_equal(read["h.1.mlp.c_fc.weight"], weights["h.1.mlp.c_fc.weight"])


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_weights_of_another_precision_do_not_pass_as_float32(
    checkpoint_dir: Path, dtype: type[np.floating]
) -> None:
    """`read_checkpoint` promises float32: it may convert, or refuse."""
    arrays = {k: v.astype(dtype) for k, v in tensorflow_arrays(checkpoint_dir).items()}
    save_with_tensorflow(checkpoint_dir, arrays)
    assert (checkpoint_dir / INDEX_FILE).is_file()
    try:
        _, read = read_checkpoint(checkpoint_dir)
    except InputError:
        return
    assert {array.dtype for array in read.values()} == {np.dtype(np.float32)}


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("wte.weight", "model/wte"),
        ("ln_f.bias", "model/ln_f/b"),
        ("h.3.ln_1.bias", "model/h3/ln_1/b"),
        ("h.11.attn.c_attn.weight", "model/h11/attn/c_attn/w"),
    ],
)
def test_names_are_openais(ours: str, theirs: str) -> None:
    assert openai_name(ours) == theirs


def test_only_reading_a_checkpoint_imports_tensorflow() -> None:
    code = "import sys, spam_gpt2.gpt2.tf_checkpoint; assert 'tensorflow' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_tensorflow_says_nothing_as_it_starts(checkpoint_dir: Path) -> None:
    """It used to print five lines before any setting of its log level counts."""
    code = "import sys\nfrom pathlib import Path\n"
    code += "from spam_gpt2.gpt2.tf_checkpoint import read_checkpoint\n"
    code += "config, read = read_checkpoint(Path(sys.argv[1]))\nprint(len(read))\n"
    command = [sys.executable, "-c", code, str(checkpoint_dir)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("28\n", "")

"""The size of a model: published sizes, numbers that cannot be, and the file it is read from."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

from spam_gpt2.common.files import InputError
from spam_gpt2.gpt2.config import CONFIG_FILE, GPT2Config, read_config
from spam_gpt2.gpt2.weights import load_gpt2


@pytest.mark.parametrize(
    ("n_embd", "n_layer", "n_head", "parameters"),
    [
        (768, 12, 12, 124_439_808),
        (1024, 24, 16, 354_823_168),
        (1280, 36, 20, 774_030_080),
        (1600, 48, 25, 1_557_611_200),
    ],
    ids=["124M", "355M", "774M", "1558M"],
)
def test_the_four_published_sizes_have_their_numbers_of_parameters(
    n_embd: int, n_layer: int, n_head: int, parameters: int
) -> None:
    assert GPT2Config(50257, 1024, n_embd, n_head, n_layer).n_parameters == parameters


@pytest.mark.parametrize("name", ["n_vocab", "n_ctx", "n_embd", "n_head", "n_layer"])
@pytest.mark.parametrize("value", [0, -1, 2.0, "2", None, True])
def test_a_size_that_is_no_whole_number_above_0_is_refused(name: str, value: object) -> None:
    numbers = {"n_vocab": 10, "n_ctx": 8, "n_embd": 4, "n_head": 2, "n_layer": 1}
    with pytest.raises(InputError) as caught:
        GPT2Config(**numbers | {name: value})
    assert str(caught.value) == f"hparams: {name} must be a whole number above 0, not {value!r}"


def test_a_width_that_heads_cannot_share_is_refused() -> None:
    with pytest.raises(InputError, match="n_embd 10 is not a multiple of n_head 4"):
        GPT2Config(n_vocab=10, n_ctx=8, n_embd=10, n_head=4, n_layer=1)


KNOWN = f'"name": "tiny", "weights_sha256": "{"0" * 64}"'


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{}", "name: is missing (and 2 more)"),
        ("[]", "must hold keys with values, not a list"),
        ("null", "must hold keys with values, not null"),
        ('{"name": "tiny", "weights_sha256": "0", "hparams": {}}',
         'weights_sha256: must match ^[0-9a-f]{64}$, not "0" (and 5 more)'),
        (f"{{{KNOWN}}}", "hparams: is missing"),
        (f'{{{KNOWN}, "hparams": 5}}', "hparams: must hold keys with values, not 5"),
        (f'{{{KNOWN}, "hparams": {{"n_vocab": 5}}}}', "hparams.n_ctx: is missing (and 3 more)"),
        ('{"n_vocab": 11, "n_ctx": 7, "n_embd": 4, "n_head": 2, "n_layer": 2}',
         "n_vocab: unknown key, misspelt or of another version (and 7 more)"),
    ],
)  # fmt: skip
def test_a_config_of_something_else_is_refused(tmp_path: Path, content: str, problem: str) -> None:
    path = tmp_path / CONFIG_FILE
    path.write_text(content)
    expected = f"{path}: not a config of convert_gpt2: {problem}; run `dvc repro`"
    for read in (read_config, load_gpt2):
        with pytest.raises(InputError) as caught:
            read(tmp_path)
        assert str(caught.value) == expected


def test_planning_does_without_torch() -> None:
    """It takes seconds to import, and every experiment plans."""
    code = "import sys, plan_features; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT / "stages").returncode == 0

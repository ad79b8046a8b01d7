"""Wrong parameters: each is refused in one line of our own words that names its key."""

from __future__ import annotations

import copy
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st

from spam_gpt2.common.files import InputError
from spam_gpt2.common.nested import flat
from spam_gpt2.common.params import check_params, load_params

TEXT = (ROOT / "params.yaml").read_text(encoding="utf-8")
SHIPPED = yaml.safe_load(TEXT)
LEAVES = dict(flat(SHIPPED))
NUMBERS = [k for k, v in LEAVES.items() if isinstance(v, int | float) and not isinstance(v, bool)]
LIBRARY = re.compile(r"Input should|a valid|pydantic|\[type=")
DEEP: Any = []
for _ in range(500):
    DEEP = [DEEP]
WRONG = [
    None, True, False, "", " ", "text", "nan", ".inf", "1_000", 0, -1, 0.5, 1e-320, 1 - 1e-16,
    1e308, float("nan"), float("-inf"), 2**31, 2**63, 2**70, 10**20, 10**5000, [], [[]], [None],
    {}, {"a": 1}, "\x1b[31m", "\u202e", "x" * 10**6, b"bytes", DEEP,
]  # fmt: skip


def changed(key: str, value: Any) -> dict[str, Any]:
    """The shipped parameters with one dotted key set."""
    values = copy.deepcopy(SHIPPED)
    section, dot, name = key.partition(".")
    if dot:
        values[section][name] = value
    else:  # a section that is a list
        values[section] = value
    return values


def refusal(key: str, value: Any) -> str | None:
    """The line with which a value is refused, None when it is taken."""
    try:
        check_params(changed(key, value))
    except InputError as error:
        line = str(error)
    else:
        return None
    section = key.partition(".")[0]
    assert line.startswith((f"params.yaml: {key}", f"params.yaml: {section}: ")), line
    assert "\n" not in line
    assert len(line) < 250
    assert not LIBRARY.search(line), line
    return line


@pytest.mark.parametrize("key", LEAVES)
def test_every_key_takes_a_value_or_refuses_it_in_our_words(key: str) -> None:
    refused = [refusal(key, value) for value in WRONG]
    assert sum(line is not None for line in refused) >= len(WRONG) // 3


@pytest.mark.parametrize("key", NUMBERS)
def test_true_is_no_number_and_neither_is_a_list(key: str) -> None:
    for value in (True, False, [], {}, float("nan"), float("inf"), 1e308):
        assert refusal(key, value), value
    if key != "finetune.learning_rate":  # of which a test of training takes 1e30, to diverge
        assert refusal(key, 2**70)
        assert refusal(key, 10**20)


@pytest.mark.parametrize(
    ("key", "value", "line"),
    [
        ("finetune.batch_size", 10**20, "must be at most 100000, not 100000000000000000000"),
        ("evaluate.resamples", 10**12, "must be at most 100000, not 1000000000000"),
        ("finetune.lora_rank", 10**8, "must be at most 4096, not 100000000"),
        ("evaluate.confidence", 1 - 1e-16, "must be at most 0.9999, not 0.9999999999999999"),
        ("finetune.seed", 2**70, "must be below 4294967296, not 1180591620717411303424"),
        ("finetune.ignore_index", 2**70, "must be below 2147483648, not 1180591620717411303424"),
        ("finetune.epochs", True, "must be a whole number, not true"),
        ("finetune.epochs", 1.5, "must be a whole number, not 1.5"),
        ("finetune.learning_rate", True, "must be a number, not true"),
        ("finetune.learning_rate", "quick", 'must be a number, not "quick"'),
        ("finetune.learning_rate", float("inf"), "must be a finite number, not Infinity"),
        ("finetune.recipe", "ours", 'must be \'own\' or \'book\', not "ours"'),
        ("classifier.max_length", "all", "must be a whole number or 'context', not \"all\""),
        ("prepare.path", "", 'must not be empty, not ""'),
        ("prepare.path", None, "must be text, not null"),
        ("prepare.balance", "yes", 'must be true or false, not "yes"'),
        ("prepare.labels", ["ham"], "must have 2 or more entries, not a list"),
        ("learning_curve.sizes", 5, "must be a list, not 5"),
    ],
)  # fmt: skip
def test_mistakes_and_their_lines(key: str, value: Any, line: str) -> None:
    assert refusal(key, value) == f"params.yaml: {key}: {line}"


def test_a_number_too_long_to_print_is_not_printed() -> None:
    line = (
        "params.yaml: finetune.epochs: must be at most 100000, not a number of more than 60 digits"
    )
    assert refusal("finetune.epochs", 10**5000) == line


def test_what_is_large_and_no_mistake_is_taken() -> None:
    for key, value in (
        ("finetune.batch_size", 4096), ("evaluate.resamples", 100_000),
        ("finetune.lora_rank", 1600), ("evaluate.confidence", 0.9999), ("finetune.epochs", 1000),
        ("classifier.max_length", 1024), ("finetune.seed", 2**32 - 1),
        ("learning_curve.sizes", [10**6]), ("explain.mistakes", 5000),
    ):  # fmt: skip
        assert refusal(key, value) is None, key


def load(folder: Path, text: str) -> str | None:
    """The line with which a file of this text is refused."""
    path = folder / "params.yaml"
    path.write_text(text, encoding="utf-8")
    try:
        load_params(path)
    except InputError as error:
        return str(error).removeprefix(f"{path}: ")
    return None


@pytest.mark.parametrize("key", ["finetune.epochs", "prepare.path", "track.enabled"])
def test_a_key_that_stands_twice_is_named_with_both_lines(tmp_path: Path, key: str) -> None:
    section, name = key.split(".")
    lines = TEXT.splitlines()
    begins = lines.index(f"{section}:")
    first = next(i for i in range(begins, len(lines)) if lines[i].startswith(f"  {name}:"))
    lines.insert(first + 1, lines[first])
    expected = f"{key}: stands there twice, in lines {first + 1} and {first + 2}; delete one"
    assert load(tmp_path, "\n".join(lines)) == expected


def test_a_section_that_stands_twice_is_named_with_both_lines(tmp_path: Path) -> None:
    line = TEXT.splitlines().index("track:") + 1
    again = f"{TEXT}track: {{enabled: true, experiment: x}}\n"
    assert load(tmp_path, again) == (
        f"track: stands there twice, in lines {line} and {len(again.splitlines())}; delete one"
    )


BOMB = "a: &a [x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join(['*' + a] * 9)}]\n"
    for a, b in zip("abcdefghi", "bcdefghij", strict=True)
)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000, "{a: " * 5_000, "a: " + "9" * 10_000, "a: 2020-99-99", "? [a]\n: b",
        "a: &a [*a]", "a: *b", "!!python/object:os.system x", BOMB, TEXT + BOMB, "\x00",
        "a: \x07", "- " * 3_000,
    ],
)  # fmt: skip
def test_text_that_is_no_parameters_is_one_line_and_soon(tmp_path: Path, text: str) -> None:
    line = load(tmp_path, text)
    assert line
    assert len(line) < 2_000


def test_the_check_runs_before_dvc_reads_an_empty_path(tmp_path: Path) -> None:
    """`make repro` begins with it; DVC would only say that it cannot resolve dvc.yaml."""
    text = TEXT.replace("path: data/raw/SMSSpamCollection", "path: ''")
    (tmp_path / "params.yaml").write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "spam_gpt2.common.params"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == 'error: params.yaml: prepare.path: must not be empty, not ""\n'
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in ("repro", "report", "experiments", "experiment", "seeds"):
        recipe = re.search(rf"^{target}:.*\n\t(.*)", makefile, re.MULTILINE)[1]
        recipe += re.search(rf"^{target}:.*\n\t.*\n\t(.*)", makefile, re.MULTILINE)[1]
        assert "-m spam_gpt2.common.params" in recipe, target


JSON_LIKE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@pytest.mark.full
@settings(max_examples=5_000)
@given(st.sampled_from(sorted(LEAVES)), JSON_LIKE)
def test_any_value_of_any_key(key: str, value: Any) -> None:
    refusal(key, value)


@pytest.mark.full
@settings(max_examples=3_000)
@given(st.integers(0, len(TEXT) - 1), st.integers(0, 5), st.text(max_size=3))
def test_any_part_of_the_file_may_be_other_text(
    tmp_path_factory: pytest.TempPathFactory, at: int, cut: int, other: str
) -> None:
    line = load(tmp_path_factory.getbasetemp(), TEXT[:at] + other + TEXT[at + cut :])
    assert line is None or len(line) < 2_000

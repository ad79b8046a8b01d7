"""Parameters: the shipped file is valid, and every wrong one is refused in a line with its key."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import ROOT

from spam_gpt2.common.files import InputError
from spam_gpt2.common.params import check_params, fitting_blocks, load_params

SHIPPED = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))


def changed(key: str, value: Any) -> dict[str, Any]:
    """The shipped parameters with one dotted key set."""
    values = copy.deepcopy(SHIPPED)
    section, name = key.split(".")
    values[section][name] = value
    return values


def test_the_shipped_file_holds_what_the_project_promises() -> None:
    params = load_params(ROOT / "params.yaml")
    assert params.finetune.learning_rate == 5e-5
    assert params.finetune.weight_decay == 0.1
    assert (params.finetune.batch_size, params.finetune.epochs) == (8, 5)
    assert params.finetune.trainable == "last_block"
    assert params.classifier.position == "last_token"
    assert params.fetch_gpt2.size == "124M"
    assert (params.prepare.train, params.prepare.validation) == (0.7, 0.1)


def test_every_key_of_the_shipped_file_is_explained() -> None:
    lines = (ROOT / "params.yaml").read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        is_key = line.startswith("  ") and not line.startswith("  -") and ":" in line
        if is_key and not line.lstrip().startswith(("#", "-")):
            assert "#" in line or lines[number - 1].lstrip().startswith("#"), line


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("finetune.learning_rate", "1e-05"),  # as DVC writes it, a string to YAML 1.1
        ("finetune.trainable", "last_12_blocks"),
        ("finetune.trainable", "head_only"),
        ("finetune.trainable", "all"),
        ("classifier.max_length", None),
        ("classifier.max_length", "context"),
        ("classifier.max_length", 40),
        ("fetch_gpt2.fallback", None),
        ("prepare.labels", ["ham", "spam"]),
        ("prepare.encoding", "cp1252"),
        ("prepare.delimiter", ";"),
        ("prepare.quoting", None),
    ],
)
def test_good_values_are_taken(key: str, value: Any) -> None:
    section, name = key.split(".")
    taken = getattr(getattr(check_params(changed(key, value)), section), name)
    assert taken == (float(value) if name == "learning_rate" else value)


def test_columns_are_names_or_numbers_and_texts_one_or_several() -> None:
    one = check_params(changed("prepare.columns", {"label": "v1", "text": 2})).prepare.columns
    assert (one.label, one.text) == ("v1", [2])
    two = check_params(changed("prepare.columns", {"label": 1, "text": ["a", 3]})).prepare.columns
    assert (two.label, two.text) == (1, ["a", 3])


@pytest.mark.parametrize("name", ["tab", "\\t"])
def test_a_tab_has_a_name(name: str) -> None:
    assert check_params(changed("prepare.delimiter", name)).prepare.delimiter == "\t"


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("finetune.epoch", 5, "finetune.epoch: unknown key"),
        ("finetune.epochs", "five", "finetune.epochs: "),
        ("finetune.epochs", 0, "finetune.epochs: "),
        ("compute.processes", 0, "compute.processes: "),
        ("compute.processes", 1025, "compute.processes: "),
        ("finetune.epochs", 1.5, "finetune.epochs: "),
        ("finetune.epochs", True, "finetune.epochs: "),
        ("finetune.learning_rate", "quick", "finetune.learning_rate: "),
        ("finetune.learning_rate", float("nan"), "finetune.learning_rate: "),
        ("finetune.learning_rate", float("inf"), "finetune.learning_rate: "),
        ("finetune.learning_rate", 0, "finetune.learning_rate: "),
        ("finetune.trainable", "last_13_blocks", "finetune.trainable: "),
        ("finetune.trainable", "last", "finetune.trainable: 'last' is not one of"),
        ("finetune.seed", -1, "finetune.seed: "),
        ("finetune.seed", 2**32, "finetune.seed: "),
        ("fetch_gpt2.size", "125M", "fetch_gpt2.size: "),
        ("fetch_gpt2.sources", [], "fetch_gpt2.sources: "),
        ("fetch_gpt2.fallback", "gpt3", "fetch_gpt2.fallback: "),
        ("prepare.train", 0.95, "prepare: train 0.95 + validation 0.1 must be below 1"),
        ("prepare.train", 0.9, "prepare: train 0.9 + validation 0.1 must be below 1"),
        ("prepare.train", 1.2, "prepare.train: "),
        ("prepare.labels", ["ham"], "prepare.labels: "),
        ("prepare.labels", ["ham", "ham"], "prepare.labels: a label is listed twice"),
        ("prepare.labels", [0, 1], "prepare.labels: to YAML, 0 is no text"),
        ("prepare.labels", ["ham", True], "prepare.labels: to YAML, true is no text"),
        ("prepare.labels", ["ham", "spam "], 'prepare.labels: blanks around "spam "'),
        ("prepare.encoding", "latin-0", "prepare.encoding: 'latin-0' is no encoding"),
        ("prepare.encoding", "base64", "prepare.encoding: 'base64' is no encoding"),
        ("prepare.delimiter", ";;", "prepare.delimiter: ';;' is not one character"),
        ("prepare.delimiter", "", "prepare.delimiter: '' is not one character"),
        ("prepare.columns", {"label": "v1"}, "prepare.columns.text: is missing"),
        ("prepare.columns", {"label": 0, "text": 1}, "prepare.columns.label: a column is a name"),
        ("prepare.columns", {"label": 1, "text": []}, "prepare.columns.text: at least one"),
        ("prepare.columns", {"label": 1, "text": [2, True]}, "prepare.columns.text: a column is"),
        ("prepare.columns", {"label": 1, "text": 2, "id": 3}, "prepare.columns.id: unknown key"),
        ("prepare.balance", "yes", "prepare.balance: "),
        ("prepare.quoting", "all", "prepare.quoting: "),
        ("classifier.max_length", 0, "classifier.max_length: "),
        ("classifier.max_length", "all", "classifier.max_length: "),
        ("classifier.position", "middle", "classifier.position: "),
        ("evaluate.confidence", 95, "evaluate.confidence: "),
        ("evaluate.resamples", 3, "evaluate.resamples: "),
        ("calibrate.false_positive_rate", 1, "calibrate.false_positive_rate: "),
        ("calibrate.prevalence", 0, "calibrate.prevalence: "),
        ("calibrate.prevalence", 13.4, "calibrate.prevalence: "),
        ("calibrate.prevalence", "all", "calibrate.prevalence: must be a number or 'data', not"),
        ("calibrate.costs", {"missed": 1}, "calibrate.costs.blocked: is missing"),
        ("calibrate.costs", {"missed": 1, "blocked": 0}, "calibrate.costs.blocked: must be above"),
        ("calibrate.costs", 10, "calibrate.costs: must hold keys with values, not 10"),
        (
            "calibrate.unsure",
            0.2,
            "calibrate: unsure 0.2 is a cost beside those of costs, which is",
        ),
        ("calibrate.bins", 1, "calibrate.bins: "),
        ("robustness.word_share", 1.5, "robustness.word_share: "),
        ("explain.mistakes", 0, "explain.mistakes: "),
        ("learning_curve.sizes", [], "learning_curve.sizes: "),
        ("learning_curve.sizes", [64, 0], "learning_curve.sizes.1: "),
        ("learning_curve.repeats", 0, "learning_curve.repeats: "),
        ("track.experiment", "", "track.experiment: "),
    ],
)
def test_bad_values_are_refused_in_one_line_that_names_the_key(
    key: str, value: Any, expected: str
) -> None:
    with pytest.raises(InputError) as caught:
        check_params(changed(key, value))
    message = str(caught.value)
    assert message.startswith(f"params.yaml: {expected}"), message
    assert "\n" not in message


def test_asking_must_cost_less_than_guessing() -> None:
    """At 1 and 4, a message that is spam with 0.8 costs 0.8 either way, and no other costs more."""
    values = copy.deepcopy(SHIPPED)
    values["calibrate"] |= {"costs": {"missed": 1, "blocked": 4}, "unsure": 0.79}
    assert check_params(values).calibrate.unsure == 0.79
    values["calibrate"]["unsure"] = 0.8
    with pytest.raises(InputError) as caught:
        check_params(values)
    assert str(caught.value) == (
        "params.yaml: calibrate: unsure 0.8 never pays: with these costs a guess costs at most "
        "0.8; set it below that, or to null"
    )


def test_a_missing_key_and_a_missing_section_are_named() -> None:
    values = copy.deepcopy(SHIPPED)
    del values["finetune"]["epochs"]
    with pytest.raises(InputError, match=r"finetune\.epochs: is missing"):
        check_params(values)
    del values["finetune"]
    with pytest.raises(InputError, match="finetune: is missing"):
        check_params(values)


def test_a_mistyped_key_is_named_before_the_one_that_it_should_have_been() -> None:
    values = copy.deepcopy(SHIPPED)
    values["finetune"]["epoch"] = values["finetune"].pop("epochs")
    with pytest.raises(InputError, match=r"finetune\.epoch: unknown key.*\(and 1 more\)"):
        check_params(values)


def test_several_errors_are_counted() -> None:
    values = changed("finetune.epochs", 0)
    values["finetune"]["batch_size"] = 0
    with pytest.raises(InputError, match=r"\(and 1 more\)"):
        check_params(values)


@pytest.mark.parametrize("content", ["", "just text", "[1, 2]", "a: [", "\t- x"])
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(content)
    with pytest.raises(InputError, match=str(path)):
        load_params(path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        load_params(tmp_path / "params.yaml")


def test_a_file_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes(b"track: \xff")
    with pytest.raises(InputError, match="not valid YAML"):
        load_params(path)


def test_more_blocks_than_there_are_is_an_error_that_says_how_many() -> None:
    with pytest.raises(InputError, match="asks for 5 blocks, but the model has 4"):
        fitting_blocks("last_5_blocks", 4)

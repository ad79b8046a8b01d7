"""The plan of the features: the same for all parameters that leave the features as they are."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import ROOT

from spam_gpt2.common.files import InputError
from spam_gpt2.common.params import Params, check_params
from spam_gpt2.features.plan import Plan, load_plan, make_plan, save_plan

SHIPPED = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))


def params(**changes: Any) -> Params:
    """The shipped parameters with some set; `finetune__epochs` is the key finetune.epochs."""
    values = copy.deepcopy(SHIPPED)
    for key, value in changes.items():
        section, name = key.split("__")
        values[section][name] = value
    return check_params(values)


def plan(**changes: Any) -> Plan:
    return make_plan(params(**changes), n_layer=6, n_ctx=64, longest=lambda: 40)


def no_longest() -> int:
    raise AssertionError("nobody needs the longest message")


def test_the_shipped_parameters_cut_below_the_last_block() -> None:
    assert plan() == Plan(5, 64, False, True, "pretrained", None, None)


@pytest.mark.parametrize(
    "changes",
    [
        {"finetune__learning_rate": 0.1, "finetune__epochs": 9, "finetune__seed": 7},
        {"finetune__recipe": "book", "finetune__batch_size": 1, "finetune__accumulation_steps": 8},
        {"classifier__position": "first_token"},
        {"classifier__position": "mean_tokens"},
        {"classifier__init_seed": 5},  # of weights that nobody draws
        {"classifier__max_length": 64},
        {"prepare__seed": 1},  # changes the messages, not what is made of one
    ],
)
def test_what_leaves_the_features_as_they_are_leaves_the_plan(changes: dict[str, Any]) -> None:
    assert plan(**changes) == plan()


@pytest.mark.parametrize(
    ("changes", "field", "value"),
    [
        ({"finetune__trainable": "head_only"}, "cut", 6),
        ({"finetune__trainable": "last_two_blocks"}, "cut", 4),
        ({"finetune__trainable": "all"}, "cut", 0),
        ({"finetune__trainable": "lora"}, "cut", 0),
        ({"finetune__reuse_frozen": False}, "cut", 0),
        ({"classifier__position": "last_padded"}, "max_length", 40),
        ({"classifier__position": "mean_padded"}, "max_length", 40),
        ({"classifier__position": "last_padded"}, "pad", True),
        ({"classifier__position": "last_padded", "classifier__max_length": "context"},
         "max_length", 64),
        ({"classifier__max_length": 12}, "max_length", 12),
        ({"classifier__causal": False}, "causal", False),
        ({"classifier__init": "random"}, "init_seed", 123),
    ],
)  # fmt: skip
def test_what_changes_the_features_changes_the_plan(
    changes: dict[str, Any], field: str, value: object
) -> None:
    changed = plan(**changes)
    assert getattr(changed, field) == value
    assert changed != plan()


def test_the_position_counts_only_where_the_head_reads_the_features() -> None:
    first, last = (
        plan(finetune__trainable="head_only", classifier__position=position).position
        for position in ("first_token", "last_token")
    )
    assert (first, last) == ("first_token", "last_token")


def test_the_longest_message_is_looked_for_only_when_padding() -> None:
    make_plan(params(), 6, 64, no_longest)
    make_plan(
        params(classifier__position="last_padded", classifier__max_length=9), 6, 64, no_longest
    )
    with pytest.raises(AssertionError):
        make_plan(params(classifier__position="last_padded"), 6, 64, no_longest)


def test_padding_never_goes_beyond_the_context() -> None:
    padded = params(classifier__position="last_padded")
    assert make_plan(padded, 6, 64, lambda: 900).max_length == 64


def test_more_tokens_than_the_context_are_refused() -> None:
    with pytest.raises(InputError) as caught:
        plan(classifier__max_length=65)
    assert str(caught.value) == (
        "params.yaml: classifier.max_length: 65 is more than the context of 64 tokens"
    )


def test_more_blocks_than_the_model_has_are_refused() -> None:
    with pytest.raises(InputError, match=r"finetune\.trainable: .* but the model has 6"):
        plan(finetune__trainable="last_7_blocks")


def test_a_plan_is_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save_plan(plan())
    assert load_plan() == plan()
    Path("data/features/plan.json").write_text('{"cut": 1}')
    with pytest.raises(InputError, match=r"plan\.json: not a plan of this version"):
        load_plan()

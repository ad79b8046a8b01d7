"""Nested dictionaries as dotted keys, and classes whose names other keys have."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spam_gpt2.common.nested import class_keys, flat

NAMES = st.sampled_from(["ham", "total", "weights", "total (class)", "total (class) (class)"])


def test_nested_values_have_dotted_keys() -> None:
    assert dict(flat({"a": {"b": 1, "c": {"d": 2}}, "e": 3})) == {"a.b": 1, "a.c.d": 2, "e": 3}


@pytest.mark.parametrize(
    ("labels", "keys"),
    [
        (["ham", "spam"], ["ham", "spam"]),
        (["total", "spam"], ["total (class)", "spam"]),
        (["total", "total (class)"], ["total (class) (class)", "total (class)"]),
    ],
)
def test_a_class_named_as_another_key_is_called_a_class(labels: list[str], keys: list[str]) -> None:
    assert class_keys(labels, ["total"]) == keys


@given(labels=st.lists(NAMES, unique=True), taken=st.lists(NAMES, unique=True))
def test_no_key_is_used_twice(labels: list[str], taken: list[str]) -> None:
    keys = class_keys(labels, taken)
    assert len({*keys, *taken}) == len(keys) + len(taken)

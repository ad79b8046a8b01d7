"""Every writing changes what it says and nothing else, the same way each time."""

from __future__ import annotations

import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spam_gpt2.evaluation.perturbations import (
    LOOK_ALIKES,
    perturb,
    replace_digits,
    replace_look_alikes,
    space_words,
)

TEXTS = [
    "Call 0800 123  now & WIN £100!",
    "",
    "ok",
    "Straße 12\nnaïve   日本 a1b2c3",
    "free free free free free free free free free free free free",
]


def written(seed: int = 1, word_share: float = 0.5, letter_share: float = 0.5) -> dict:
    return perturb(TEXTS, word_share=word_share, letter_share=letter_share, seed=seed)


def random() -> np.random.Generator:
    return np.random.default_rng(2)


def test_the_first_writing_is_the_texts_as_they_are() -> None:
    changed = written()
    assert next(iter(changed)) == "unchanged"
    assert changed["unchanged"] == TEXTS
    assert all(len(texts) == len(TEXTS) for texts in changed.values())


def test_case_and_spaces() -> None:
    changed = written()
    assert changed["lower_case"][0] == "call 0800 123  now & win £100!"
    assert changed["upper_case"][0] == "CALL 0800 123  NOW & WIN £100!"
    assert changed["single_spaces"][0] == "Call 0800 123 now & WIN £100!"
    assert changed["single_spaces"][3] == "Straße 12\nnaïve 日本 a1b2c3"


@given(st.text(max_size=60))
def test_every_digit_is_another_one_and_all_else_stays(text: str) -> None:
    changed = replace_digits(text, random())
    assert len(changed) == len(text)
    for old, new in zip(text, changed, strict=True):
        if old in "0123456789":
            assert new in "0123456789"
            assert new != old
        else:
            assert new == old


def test_digits_become_every_other_digit() -> None:
    assert set(replace_digits("7" * 500, random())) == set("012345689")


@given(st.text(max_size=60), st.floats(0, 1))
def test_spacing_words_adds_nothing_but_spaces(text: str, share: float) -> None:
    changed = space_words(text, random(), share=share)
    assert changed.replace(" ", "") == text.replace(" ", "")


def test_some_words_are_spaced_and_never_in_part() -> None:
    words = space_words(TEXTS[4], random(), share=0.5).replace("f r e e", "SPACED").split()
    assert set(words) == {"SPACED", "free"}
    assert (
        space_words("Call me at 10, I am in", random(), share=1) == "C a l l m e a t 10, I a m i n"
    )
    assert space_words(TEXTS[4], random(), share=0) == TEXTS[4]


@given(st.text(max_size=60), st.floats(0, 1))
def test_only_what_has_a_look_alike_is_replaced_and_by_that(text: str, share: float) -> None:
    changed = replace_look_alikes(text, random(), share=share)
    assert len(changed) == len(text)
    for old, new in zip(text, changed, strict=True):
        assert new in (old, old.translate(LOOK_ALIKES))


def test_look_alikes_are_of_other_scripts_or_digits() -> None:
    """By their names in Unicode: Cyrillic for small letters, Greek for capital ones."""
    for codes, other in LOOK_ALIKES.items():
        old, new = chr(codes), chr(other)
        if new.isascii():
            assert (old, new) in [("O", "0"), ("0", "O"), ("l", "1"), ("1", "l")]
        else:
            script = "CYRILLIC SMALL" if old.islower() else "GREEK CAPITAL"
            assert unicodedata.name(new).startswith(f"{script} LETTER")
    assert replace_look_alikes("Free 10l O", random(), share=1) == "Fr\u0435\u0435 lO1 0"
    assert replace_look_alikes("Free 10l O", random(), share=0) == "Free 10l O"


def test_about_the_share_that_was_asked_for_is_replaced() -> None:
    changed = replace_look_alikes("e" * 2000, random(), share=0.3)
    assert changed.count("e") / 2000 == pytest.approx(0.7, abs=0.05)


def test_the_seed_alone_decides_and_each_writing_draws_for_itself() -> None:
    assert written() == written()
    assert written(seed=2) != written()
    other = written(word_share=1.0)
    changed = {name for name in other if other[name] != written()[name]}
    assert changed == {"spaced_words", "zero_width"}


def test_characters_of_no_width_stand_where_spaces_would() -> None:
    changed = written()
    assert changed["zero_width"] != TEXTS
    for apart, unseen, text in zip(
        changed["spaced_words"], changed["zero_width"], TEXTS, strict=True
    ):
        assert unseen.replace("\u200b", "") == text
        assert len(unseen) == len(apart)

"""Disguises are undone, and what is none stays: against hand-made cases and Unicode's own data."""

# ruff: noqa: RUF001, the look-alikes are what is tested
from __future__ import annotations

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from spam_gpt2.common.folding import FOLDS, UNDRAWN, Folds, fold_text, fold_texts, look_alikes
from spam_gpt2.evaluation.perturbations import LOOK_ALIKES

ENGLISH = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ ,.!?'", max_size=80)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("c\u0430sh", "cash"),  # Cyrillic a
        ("\u0391BC", "ABC"),  # Greek capital alpha
        ("\u0399D", "ID"),  # Greek capital iota is a capital, though the standard takes I for l
        ("\u0441\u0430\u0441\u0430 is for you", "caca is for you"),  # a whole word of look-alikes
        ("fr\u200bee\ufeff c\u00ada\u2060sh", "free cash"),
        ("ＦＲＥＥ ①", "FREE 1"),
        ("𝗪𝗶𝗻 𝓬𝓪𝓼𝓱", "Win cash"),
        ("ﬁnal", "final"),
        ("fr0m W1LL hell0 ca11", "from WILL hello call"),
        ("O8OO 555 l23", "0800 555 123"),
    ],
)
def test_a_disguise_is_undone(text: str, expected: str) -> None:
    assert fold_text(text, ["characters"]) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "See you at 10, ok?",
        "100 1st l8r gr8 O2 IOO lol 10am t0 win100 a1 sum1 No1",
        "£1000 café naïve straße",
        "Привет, как дела? А у вас? оса",
        "Είναι ο νους",
        "the word is привет",
        "日本語 مرحبا 👍",
        "Iıllı",  # Turkish, a language in Latin script
    ],
)
def test_what_is_no_disguise_stays(text: str) -> None:
    assert fold_text(text, ["characters"]) == text


def test_every_look_alike_that_robustness_puts_in_is_undone() -> None:
    """Letters of other scripts; the digits depend on what stands beside them."""
    for letter, twin in LOOK_ALIKES.items():
        if not twin.isascii() if isinstance(twin, str) else twin > 127:
            disguised = twin if isinstance(twin, str) else chr(twin)
            assert fold_text(f"qq{disguised}qq", ["characters"]) == f"qq{chr(letter)}qq"


def test_letters_of_languages_in_latin_script_look_like_none() -> None:
    found = look_alikes()
    assert len(found) > 500
    assert not [c for c in found if unicodedata.name(chr(c)).startswith("LATIN") and c < 0x250]
    assert all(len(twin) == 1 and twin.isascii() and twin.isalpha() for twin in found.values())


def test_no_character_that_nobody_sees_is_left() -> None:
    """Formats of Unicode (Cf), but for the few of them that are drawn, and variation selectors."""
    drawn = {*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD}
    drawn |= {*range(0xFFF9, 0xFFFC), *range(0x13430, 0x13440)}
    for code in range(sys.maxunicode + 1):
        character = chr(code)
        is_format = unicodedata.category(character) == "Cf"
        if (is_format and code not in drawn) or "VARIATION SELECTOR" in unicodedata.name(
            character, ""
        ):
            assert UNDRAWN.fullmatch(character), hex(code)
        elif unicodedata.category(character)[0] in "LNPSZ" and UNDRAWN.fullmatch(character):
            assert "FILLER" in unicodedata.name(character)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("f r e e cash", "free cash"),
        ("a p r i z e!", "aprize!"),  # nothing tells where a word ends
        ("Win p r ize", "Win p r ize"),  # two are no word
        ("I c u", "Icu"),
        ("u r", "u r"),
        ("f  r  e  e", "f  r  e  e"),
        ("1 2 3 4", "1 2 3 4"),
    ],
)
def test_letters_that_stand_apart_are_joined(text: str, expected: str) -> None:
    assert fold_text(text, ["spacing"]) == expected


def test_case_is_unicodes_case_folding() -> None:
    assert fold_text("STRASSE Straße ΣΑΣ", ["case"]) == "strasse strasse σασ"


def test_without_folds_a_text_is_what_it_was() -> None:
    text = "Ｆ r e e c\u0430sh\u200b"
    assert fold_text(text, []) == text
    assert fold_texts([text, "b"], FOLDS) == [fold_text(text, FOLDS), "b"]


@given(st.text())
def test_all_forms_of_a_text_fold_to_one(text: str) -> None:
    """Composed or decomposed, as canonical equivalence has it."""
    composed, decomposed = (unicodedata.normalize(form, text) for form in ("NFC", "NFD"))
    assert fold_text(composed, ["characters"]) == fold_text(decomposed, ["characters"])


@given(ENGLISH)
def test_english_in_any_case_and_with_characters_unseen_folds_to_one(text: str) -> None:
    folded = fold_text(text, ["characters", "case"])
    for other in (text.upper(), text.lower(), "\u200b".join(text)):
        assert fold_text(other, ["characters", "case"]) == folded


def test_folds_are_in_one_order_whichever_was_written() -> None:
    check = TypeAdapter(Folds).validate_python
    assert check(["case", "characters"]) == ["characters", "case"]
    for wrong in (["case", "case"], ["accents"], "case"):
        with pytest.raises(ValidationError):
            check(wrong)

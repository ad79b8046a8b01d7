"""Text with what a sender hides in it undone: look-alike letters, zero-width characters, spaces
between letters, case. It acts before tokenising, wherever a text is read by a classifier."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import cache, partial
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field

Fold = Literal["characters", "spacing", "case"]
FOLDS: tuple[Fold, ...] = get_args(Fold)  # in the order in which they act

# Default_Ignorable_Code_Point of Unicode's DerivedCoreProperties: nothing is drawn for them.
UNDRAWN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff]"
)
WORD = re.compile(r"[^\W\d_]+")  # letters of any script
NUMBER = re.compile(r"(?<![^\W_])(?=[0-9OolI]*[2-9])[0-9OolI]{3,}(?![^\W_])")
DIGIT_AS_LETTER = re.compile(r"(?<=[A-Za-z])[01]+(?=[A-Za-z])|(?<=[A-Za-z]{2})(?:0|11)(?![^\W_])")
SPACED_WORD = re.compile(r"(?<![^\W_])[^\W\d_](?: [^\W\d_]){2,}(?![^\W_])")  # three or more
WRITTEN_LATIN = 0x250  # below it stand letters of languages in Latin script: no disguises


def _each_once(folds: list[Fold]) -> list[Fold]:
    if len(set(folds)) < len(folds):
        raise ValueError("a fold is listed twice")
    return sorted(folds, key=FOLDS.index)


Folds = Annotated[list[Fold], Field(max_length=len(FOLDS)), AfterValidator(_each_once)]


def fold_texts(texts: Iterable[str], folds: Sequence[Fold]) -> list[str]:
    """`fold_text` of each."""
    return [fold_text(text, folds) for text in texts]


def fold_text(text: str, folds: Sequence[Fold]) -> str:
    """A text in the form that a classifier with these folds reads.

    Args:
        folds: `characters`: compatibility forms (NFKC), characters that nobody sees, and letters of
            another script that look like Latin ones; `spacing`: words whose letters stand apart;
            `case`: Unicode's case folding. None of them leaves the text as it is.
    """
    if "characters" in folds:
        text = fold_characters(text)
    if "spacing" in folds:
        text = SPACED_WORD.sub(lambda m: m[0].replace(" ", ""), text)
    return text.casefold() if "case" in folds else text


def fold_characters(text: str) -> str:
    """Look-alikes as the letters and digits that they look like, and no character unseen.

    A letter of another script is a trick where Latin ones stand in the same word, or where a whole
    word of look-alikes stands in a text that is mostly Latin. Words of other languages stay. O, l
    and I are digits where all else that they stand with is, as in `O8OO`; 0 and 1 are letters
    between letters, as in `fr0m`, and so are 0 and 11 behind them, as in `ca11`.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFKC", UNDRAWN.sub("", text))
        mostly_latin = 2 * sum(map(_is_ascii_letter, text)) > sum(map(str.isalpha, text))
        text = WORD.sub(partial(_fold_word, mostly_latin=mostly_latin), text)
        text = unicodedata.normalize("NFKC", text)
    text = NUMBER.sub(lambda m: m[0].translate(TO_DIGIT), text)
    return DIGIT_AS_LETTER.sub(partial(_as_letters, text=text), text)


TO_DIGIT = str.maketrans("OolI", "0011")


def _as_letters(match: re.Match[str], text: str) -> str:
    is_capital = text[match.start() - 1].isupper()
    return match[0].translate(str.maketrans("01", "OI" if is_capital else "ol"))


def _fold_word(match: re.Match[str], mostly_latin: bool) -> str:
    word = match[0]
    if word.isascii():
        return word
    table = look_alikes()
    is_mixed = any(map(_is_ascii_letter, word))
    is_disguised = mostly_latin and all(ord(c) in table for c in word)
    return word.translate(table) if is_mixed or is_disguised else word


def _is_ascii_letter(character: str) -> bool:
    return character.isascii() and character.isalpha()


@cache
def look_alikes() -> dict[int, str]:
    """Code points of letters, and the one letter of A to Z or a to z that each looks like.

    The pairs are those of Unicode Technical Standard 39. It takes I for l; a capital stays one.
    """
    from confusable_homoglyphs.confusables import confusables_data  # a tenth of a second

    table = {}
    for letter, found in confusables_data.items():
        if len(letter) > 1 or ord(letter) < WRITTEN_LATIN or not letter.isalpha():
            continue
        twins = [twin["c"] for twin in found if len(twin["c"]) == 1 and _is_ascii_letter(twin["c"])]
        if len(twins) == 1:
            is_capital_i = twins[0] == "l" and letter.isupper()
            table[ord(letter)] = "I" if is_capital_i else twins[0]
    return table

"""Messages written another way: what a sender changes to get past a filter, or just types."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

Change = Callable[[str, np.random.Generator], str]

# Letters with a double in another script (Unicode Technical Standard 39): Cyrillic for the small
# and Greek for the capital ones; and the digits that stand in for letters, both ways.
LOOK_ALIKES = str.maketrans(
    "acehijopsxy" + "ABEHIKMNPTXYZ" + "O0l1",
    "\u0430\u0441\u0435\u04bb\u0456\u0458\u043e\u0440\u0455\u0445\u0443"
    "\u0391\u0392\u0395\u0397\u0399\u039a\u039c\u039d\u03a1\u03a4\u03a7\u03a5\u0396"
    "0O1l",
)
WORD = re.compile(r"[^\W\d_]{2,}")  # letters of any script, at least two


def perturb(
    texts: Sequence[str], *, word_share: float, letter_share: float, seed: int
) -> dict[str, list[str]]:
    """The texts in every writing, by its name; the first is as they are.

    Args:
        word_share: of the words, those that are spaced out, or that get characters of no width.
        letter_share: of the letters and digits that have a look-alike, those that are replaced.
        seed: draws them, for each writing on its own.
    """
    changes: dict[str, Change] = {
        "unchanged": lambda text, _: text,
        "lower_case": lambda text, _: text.lower(),
        "upper_case": lambda text, _: text.upper(),
        "other_digits": replace_digits,
        "spaced_words": partial(space_words, share=word_share),
        "zero_width": partial(space_words, share=word_share, space="\u200b"),
        "single_spaces": lambda text, _: re.sub(" {2,}", " ", text),
        "look_alikes": partial(replace_look_alikes, share=letter_share),
    }
    written = {}
    for name, change in changes.items():
        random = np.random.default_rng(seed)
        written[name] = [change(text, random) for text in texts]
    return written


def replace_digits(text: str, random: np.random.Generator) -> str:
    """Every digit by another one, whichever."""
    return re.sub("[0-9]", lambda m: str((int(m[0]) + random.integers(1, 10)) % 10), text)


def space_words(text: str, random: np.random.Generator, *, share: float, space: str = " ") -> str:
    """Some words with a space between their letters: `free` is `f r e e`."""
    return WORD.sub(lambda m: space.join(m[0]) if random.random() < share else m[0], text)


def replace_look_alikes(text: str, random: np.random.Generator, *, share: float) -> str:
    """Some letters and digits by others that look the same."""
    draws = random.random(len(text))
    return "".join(
        char.translate(LOOK_ALIKES) if draw < share else char
        for char, draw in zip(text, draws, strict=True)
    )

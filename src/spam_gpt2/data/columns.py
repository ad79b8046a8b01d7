"""Which columns of a table hold the label and the text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, count

# Names in public files: v1/v2 is Kaggle's spam.csv, Category/Message its other copy, sms/label is
# Hugging Face's, CLASS/CONTENT UCI's YouTube comments.
LABEL_NAMES = ("label", "v1", "category", "class", "target")
TEXT_NAMES = ("text", "v2", "message", "sms", "content")
COLUMN_ADVICE = "name the text's column with --column"


@dataclass(frozen=True)
class Layout:
    """Places of label (None: there is none to read) and texts in a row, from 0.

    Attributes:
        is_header: whether the first row holds names and no message.
        widths: fewest and most fields of a row.
        overflow: whether fields behind the text, whose columns have no name, go on with it.
        news: what was guessed and should be said, or nothing.
    """

    label: int | None
    texts: tuple[int, ...]
    is_header: bool
    widths: tuple[int, int]
    overflow: bool = False
    news: str = ""

    def fits(self, width: int) -> bool:
        """Whether a row may have so many fields."""
        return self.widths[0] <= width <= self.widths[1]

    def runs_on(self, row: Sequence[str]) -> bool:
        """Whether a text was cut at its delimiters, into fields whose columns have no name."""
        return self.overflow and any(row[self.texts[0] + 1 :])

    def text_of(self, row: Sequence[str], delimiter: str) -> str:
        """The text of a row: the only one, several joined, or one put together again."""
        if not self.runs_on(row):
            parts = [row[place] for place in self.texts]
            return parts[0] if len(parts) == 1 else " ".join(p for p in parts if p.strip())
        fields = list(row[self.texts[0] :])
        while not fields[-1]:
            fields.pop()
        return delimiter.join(fields)


def place_of(column: str | int, names: Sequence[str]) -> int:
    """Place of a column, from 0, by its name or by its number from 1.

    A name is looked for as it stands, then without regard to case. Raises: ValueError.
    """
    if isinstance(column, int):
        if column > len(names):
            raise ValueError(f"there is no column {column}: the first row has {len(names)}")
        return column - 1
    for key in (str.strip, _plain):
        found = [place for place, name in enumerate(names) if key(name) == key(column)]
        if len(found) == 1:
            return found[0]
        if found:
            raise ValueError(f"{len(found)} columns are named {column!r}; give a number from 1")
    raise ValueError(f"no column {column!r} among {listed(names)}")


def known_column(names: Sequence[str], known: Sequence[str]) -> int | None:
    """Place of the one column with a usual name, the first of `known` before all others."""
    plain = [_plain(name) for name in names]
    if plain.count(known[0]) == 1:
        return plain.index(known[0])
    found = [place for place, name in enumerate(plain) if name in known]
    return found[0] if len(found) == 1 else None


def usual_layout(first: Sequence[str], has_names: bool) -> Layout | None:
    """Label and text by usual names in the first row, or else the two columns that there are.

    Returns None when neither tells which columns they are.
    """
    label, text = known_column(first, LABEL_NAMES), known_column(first, TEXT_NAMES)
    if label is not None and text is not None:
        return _with_header(first, label, (text,), _news(first, label, text))
    if has_names or len(first) != 2:
        return None
    return Layout(0, (1,), False, (2, 2))


def chosen_layout(
    first: Sequence[str], has_names: bool, label: str | int, texts: Sequence[str | int]
) -> Layout:
    """Label and texts where the user says that they are. Raises: ValueError.

    A first row is a header when one of them is a name, or when it holds the usual names there.
    """
    places = place_of(label, first), tuple(place_of(text, first) for text in texts)
    is_named = has_names or any(isinstance(column, str) for column in (label, *texts))
    is_usual = known_column(first, LABEL_NAMES) == places[0] and all(
        _plain(first[place]) in TEXT_NAMES for place in places[1]
    )
    if places[0] in places[1]:
        raise ValueError("label and text are the same column")
    if is_named or is_usual:
        return _with_header(first, *places, "")
    return Layout(*places, False, (len(first), len(first)))


def text_layout(names: Sequence[str], column: str | None, advice: str = COLUMN_ADVICE) -> Layout:
    """Where the text is in a table with a header: in a column by its name, or by a usual one.

    Args:
        advice: what to do where no column is named and none can be told to be it.

    Raises: ValueError.
    """
    place = place_of(column, names) if column else known_column(names, TEXT_NAMES)
    if place is None:
        raise ValueError(f"no column 'text' among {listed(names)}; {advice}")
    is_plain = bool(column) or _plain(names[place]) == TEXT_NAMES[0]
    news = "" if is_plain else f"text is column {names[place].strip()!r}"
    return _with_header(names, None, (place,), news)


def own_columns(header: Sequence[str], labels: Sequence[str]) -> list[str]:
    """Names of the columns that a prediction adds to a table, none of which it has already."""
    taken = {name.strip().casefold() for name in header}
    first = "predicted" if "label" in taken else "label"
    names = []
    for wanted in (first, "probability", *(f"probability_{label}" for label in labels)):
        candidates = chain([wanted], (f"{wanted}_{number}" for number in count(2)))
        names.append(next(name for name in candidates if name.casefold() not in taken))
        taken.add(names[-1].casefold())
    return names


def listed(names: Sequence[str], most: int = 6) -> str:
    """Names of columns in a message, not too many and none too long."""
    shown = [repr(name if len(name) <= 24 else f"{name[:23]}…") for name in names[:most]]
    return ", ".join([*shown, "…"] if len(names) > most else shown)


def usual_width(widths: Counter[int]) -> int | None:
    """The number of fields that more than half of all rows have."""
    width, count = widths.most_common(1)[0]
    return width if 2 * count > widths.total() else None


def _with_header(
    names: Sequence[str], label: int | None, texts: tuple[int, ...], news: str
) -> Layout:
    named = max([*texts, label or 0, *(place for place, name in enumerate(names) if name.strip())])
    overflow = len(texts) == 1 and texts[0] == named < len(names) - 1
    return Layout(label, texts, True, (named + 1, len(names)), overflow, news)


def _news(names: Sequence[str], label: int, text: int) -> str:
    taken = names[label].strip(), names[text].strip()
    others = [name for i, name in enumerate(names) if name.strip() and i not in (label, text)]
    if not others and tuple(map(str.casefold, taken)) == (LABEL_NAMES[0], TEXT_NAMES[0]):
        return ""
    unused = f"; not used: {listed(others)}" if others else ""
    return f"label is column {taken[0]!r}, text is column {taken[1]!r}{unused}"


def _plain(name: str) -> str:
    return name.strip().casefold()

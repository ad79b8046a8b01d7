"""Corrections by people: a file of texts with their true labels, and what of it is trained on."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from filelock import FileLock

from spam_gpt2.common.files import InputError, read_csv, write_csv

if TYPE_CHECKING:  # scipy and what finds near-twins are nothing that the page needs
    from spam_gpt2.data.campaigns import NearTwins
    from spam_gpt2.data.splits import Split

FEEDBACK_PATH = Path("data/feedback.csv")
COLUMNS = ["text", "label", "time"]
MEASURED = ("validation", "test", "holdout")  # what figures are made of, never trained on


def add_feedback(path: Path, text: str, label: str) -> None:
    """Append a correction, whole or not at all; two servers that do so at once wait.

    Raises: InputError for a file that is no such table, OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(f".{path.name}.lock")):
        table = read_feedback(path) if path.exists() else pd.DataFrame(columns=COLUMNS)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        row = pd.DataFrame([[text, label, now]], columns=COLUMNS)
        write_csv(path, pd.concat([table, row], ignore_index=True))


def read_feedback(path: Path) -> pd.DataFrame:
    """All corrections in the order in which they were made: columns text, label, time.

    Raises: InputError.
    """
    table = read_csv(path, COLUMNS)
    if list(table.columns) != COLUMNS:
        raise InputError(f"{path}: expected the columns {', '.join(COLUMNS)}")
    return table


def corrections(name: str | None, labels: list[str], first_line: int) -> pd.DataFrame:
    """The last correction of each text, numbered on behind the messages; of no file, none.

    Args:
        name: of the file.
        first_line: the number of the first.

    Returns: columns line, label, text.

    Raises: InputError for a label that is none of the classes, or no text.
    """
    path = Path(name or FEEDBACK_PATH)
    table = read_feedback(path) if name else pd.DataFrame(columns=COLUMNS)
    for place, (text, label) in enumerate(zip(table["text"], table["label"], strict=True), 1):
        if label not in labels:
            raise InputError(
                f"{path}: correction {place}: label {label!r} is none of {', '.join(labels)}; "
                "mend it, or set prepare.feedback: null"
            )
        if not text.strip() or "\0" in text:
            raise InputError(f"{path}: correction {place}: no text that can be read; remove it")
    last = table.drop_duplicates("text", keep="last", ignore_index=True)
    return last[["label", "text"]].assign(line=range(first_line, first_line + len(last)))[
        ["line", "label", "text"]
    ]


def with_feedback(
    split: Split, feedback: pd.DataFrame, twins: NearTwins | None, in_order: pd.Series
) -> tuple[Split, dict[str, int]]:
    """Corrections as further training messages, none of which is measured on anywhere.

    One whose text is in the training set already takes that message's place. Texts are the same
    when only blanks differ.

    Args:
        feedback: columns line, label, text.
        twins: near-twins among all texts, where `prepare.duplicates` is `campaign`: then a
            correction that is nearly the same as a measured message is left out, too.
        in_order: lines of the texts that `twins` is about, (N,), those of the feedback at the end.

    Returns: the split, and how many corrections there are, were added, took a place, and were left
        out.
    """
    measured = pd.concat([split.frames()[name] for name in MEASURED])
    is_out = _plain(feedback["text"]).isin(set(_plain(measured["text"]))).to_numpy()
    if twins is not None:
        near = twins.with_twin(np.isin(in_order, measured["line"]))
        is_out = is_out | near[len(near) - len(feedback) :]
    taken = feedback[~is_out]
    replaced = _plain(split.train["text"]).isin(set(_plain(taken["text"])))
    in_train = int(_plain(taken["text"]).isin(set(_plain(split.train["text"]))).sum())
    train = pd.concat([split.train[~replaced], taken], ignore_index=True)
    counts = {
        "corrections": len(feedback),
        "added": len(taken) - in_train,
        "took_a_place": in_train,
        "left_out": int(is_out.sum()),
    }
    return replace(split, train=train), counts


def told(counts: dict[str, int]) -> str:
    """The counts of `with_feedback` in a sentence."""
    return (
        f"of {counts['corrections']} corrections, {counts['added']} are added to the training set, "
        f"{counts['took_a_place']} take a message's place there, and {counts['left_out']} are left "
        "out: they are validation, test or hold-out messages"
    )


def _plain(texts: pd.Series) -> pd.Series:
    return texts.map(lambda text: " ".join(text.split()))

"""Corrections are kept whole, and train without ever being measured on."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from spam_gpt2.common.files import InputError
from spam_gpt2.data.campaigns import find_near_twins
from spam_gpt2.data.feedback import add_feedback, corrections, read_feedback, with_feedback
from spam_gpt2.data.splits import Split

LABELS = ["ham", "spam"]
HOSTILE = ["=1+1", "'=a", 'a "b", c\nd\r\ne', "<script>", "  blanks  ", "NA", "你好 😀"]
ADD = "from spam_gpt2.data.feedback import *; add_feedback(FEEDBACK_PATH, {!r}, 'ham')"


def frame(first_line: int, *rows: tuple[str, str]) -> pd.DataFrame:
    lines = range(first_line, first_line + len(rows))
    return pd.DataFrame([(n, *row) for n, row in zip(lines, rows, strict=True)],
                        columns=["line", "label", "text"])  # fmt: skip


SPLIT = Split(
    train=frame(1, ("ham", "see you"), ("spam", "win a prize"), ("spam", "win a prize")),
    validation=frame(4, ("ham", "good night")),
    test=frame(5, ("spam", "call 0800 123 456 now for your free ringtone")),
    holdout=frame(6, ("ham", "left over")),
)


def test_what_was_added_comes_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "data/feedback.csv"
    for text in HOSTILE:
        add_feedback(path, text, "spam")
    table = read_feedback(path)
    assert table["text"].tolist() == HOSTILE
    assert set(table["label"]) == {"spam"}
    assert table["time"].str.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00").all()
    with path.open(newline="") as file:  # as a spreadsheet would read it
        assert not any(row[0].startswith("=") for row in csv.reader(file))


def test_an_append_that_fails_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "feedback.csv"
    add_feedback(path, "one", "ham")
    before = path.read_bytes()
    monkeypatch.setattr(Path, "write_text", half_written)
    with pytest.raises(OSError, match="full"):
        add_feedback(path, "two", "ham")
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.glob("*.tmp") or tmp_path.glob(".*.tmp")] == []


def half_written(path: Path, text: str, **_: object) -> None:
    path.write_bytes(text[: len(text) // 2].encode())
    raise OSError(28, "full")


def test_many_at_once_lose_none(tmp_path: Path) -> None:
    commands = [[sys.executable, "-c", ADD.format(f"text {i}")] for i in range(4)]
    running = [subprocess.Popen(command, cwd=tmp_path) for command in commands]
    assert [process.wait(60) for process in running] == [0] * 4
    assert set(read_feedback(tmp_path / "data/feedback.csv")["text"]) == {
        f"text {i}" for i in range(4)
    }


def test_the_last_correction_of_a_text_counts(tmp_path: Path) -> None:
    path = tmp_path / "feedback.csv"
    for label in ("spam", "ham"):
        add_feedback(path, "a", label)
    found = corrections(str(path), LABELS, 7)
    assert found.to_dict("records") == [{"line": 7, "label": "ham", "text": "a"}]
    assert len(corrections(None, LABELS, 7)) == 0


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("text,label\na,ham\n", "expected the columns text, label, time"),
        ("text,label,time\na,ham,1\nb,eggs,1\n", "correction 2: label 'eggs' is none of ham, spam"),
        ('text,label,time\n" ",ham,1\n', "correction 1: no text"),
    ],
)
def test_a_file_that_is_wrong_is_refused_in_one_line(
    tmp_path: Path, content: str, expected: str
) -> None:
    path = tmp_path / "feedback.csv"
    path.write_text(content)
    with pytest.raises(InputError, match=expected) as caught:
        corrections(str(path), LABELS, 1)
    assert str(caught.value).startswith(f"{path}: ")


def test_corrections_are_trained_on_and_measured_messages_are_not() -> None:
    feedback = frame(
        7,
        ("spam", "a new one"),
        ("ham", "win a prize"),
        ("ham", " good  night"),  # validation's, but for blanks
        ("ham", SPLIT.test["text"][0]),
        ("spam", "left over"),
    )
    split, counts = with_feedback(SPLIT, feedback, None, pd.Series())
    assert counts == {"corrections": 5, "added": 1, "took_a_place": 1, "left_out": 3}
    rows = list(split.train.itertuples(index=False, name=None))
    assert rows == [(1, "ham", "see you"), (7, "spam", "a new one"), (8, "ham", "win a prize")]
    for name in ("validation", "test", "holdout"):
        assert split.frames()[name] is SPLIT.frames()[name]


@pytest.mark.parametrize(("by_campaign", "left_out"), [(False, 0), (True, 1)])
def test_by_campaign_a_near_twin_of_a_test_message_stays_out(
    by_campaign: bool, left_out: int
) -> None:
    feedback = frame(7, ("ham", "call 0800 999 888 now for your free ringtone"))
    everything = pd.concat([*SPLIT.frames().values(), feedback], ignore_index=True)
    twins = find_near_twins(everything["text"], 0.6) if by_campaign else None
    split, counts = with_feedback(SPLIT, feedback, twins, everything["line"])
    assert counts["left_out"] == left_out
    assert np.isin(7, split.train["line"]) == (not left_out)

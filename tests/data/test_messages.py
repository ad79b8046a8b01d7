"""Messages from files: all rows are read, or the lines that cannot be are named."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spam_gpt2.common.files import InputError
from spam_gpt2.data.messages import read_messages, read_split, write_split


def write(folder: Path, content: str | bytes, name: str = "messages.tsv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def rows(frame: pd.DataFrame) -> list[tuple]:
    return list(frame[["line", "label", "text"]].itertuples(index=False, name=None))


def test_tab_separated_rows_without_a_header(tmp_path: Path) -> None:
    path = write(tmp_path, "ham\tHi, you\nspam\tWIN £9\n")
    assert rows(read_messages(path)) == [(1, "ham", "Hi, you"), (2, "spam", "WIN £9")]


def test_without_quote_handling_a_quote_mark_is_a_character(tmp_path: Path) -> None:
    path = write(tmp_path, 'ham\t"Hi\nspam\tyou"\n')
    assert [text for _, _, text in rows(read_messages(path))] == ['"Hi', 'you"']


def test_default_quoting_reads_what_pandas_reads(tmp_path: Path) -> None:
    path = write(tmp_path, 'ham\t"Hi\nspam\tyou"\nham\t"a ""b"" c"\nspam\tlast\n')
    ours = read_messages(path, "default")
    theirs = pd.read_csv(path, sep="\t", header=None, names=["label", "text"])
    assert ours["label"].tolist() == theirs["label"].tolist()
    assert ours["text"].tolist() == theirs["text"].tolist()
    assert ours["line"].tolist() == [1, 3, 4]


def test_a_quote_that_is_never_closed_swallows_nothing(tmp_path: Path) -> None:
    path = write(tmp_path, 'ham\tHi\nspam\t"so he said\nham\tone\nspam\tand all that follows\n')
    with pytest.raises(InputError, match=r"line 2: a quote is opened and never closed\. "):
        read_messages(path, "default")
    assert len(read_messages(path)) == 4


def test_what_stands_behind_a_closing_quote_is_read_as_pandas_does(tmp_path: Path) -> None:
    path = write(tmp_path, 'ham\t"a" b\nspam\t"c"')
    theirs = pd.read_csv(path, sep="\t", header=None, names=["label", "text"])
    assert read_messages(path, "default")["text"].tolist() == theirs["text"].tolist()


def test_a_header_says_which_columns_to_take(tmp_path: Path) -> None:
    path = write(tmp_path, 'id,Text,Label\n7,"a, b",ham\n8,c,spam\n', "messages.csv")
    assert rows(read_messages(path, "default")) == [(2, "ham", "a, b"), (3, "spam", "c")]


def test_a_byte_order_mark_and_windows_line_ends_are_no_part_of_the_text(tmp_path: Path) -> None:
    path = write(tmp_path, b"\xef\xbb\xbfham\thi\r\nspam\tyou\r\n")
    assert rows(read_messages(path)) == [(1, "ham", "hi"), (2, "spam", "you")]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("ham\thi\nspam\n", "line 2: 1 fields where 2 are expected"),
        ("ham\thi\nspam\ta\tb\n", "line 2: 3 fields where 2 are expected"),
        ("ham\thi\n\nspam\tyou\n", "line 2: empty"),
        ("ham\thi\n\tyou\n", "line 2: no label"),
        ("ham\thi\nspam\t  \n", "line 2: no text"),
        ("ham\ta\0b\n", "line 1: "),
        ("", "no messages in it"),
    ],
)
def test_a_row_that_cannot_be_read_is_named_by_its_line(
    tmp_path: Path, content: str, expected: str
) -> None:
    path = write(tmp_path, content)
    with pytest.raises(InputError) as caught:
        read_messages(path)
    assert str(path) in str(caught.value)
    assert expected in str(caught.value)


def test_all_bad_lines_are_named_up_to_five(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_messages(write(tmp_path, "ham\tok\n" + "bad\n" * 7))
    message = str(caught.value)
    assert all(f"line {line}: " in message for line in (2, 3, 4, 5, 6))
    assert "line 7" not in message
    assert "and 2 more" in message


def test_text_that_is_not_utf8_is_named_by_its_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="line 2: not UTF-8"):
        read_messages(write(tmp_path, b"ham\thi\nspam\t\xa39\n"))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no such file; set prepare\.path"):
        read_messages(tmp_path / "nothing.csv")


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)


@given(texts=st.lists(TEXTS, min_size=1, max_size=5))
def test_a_split_is_read_back_as_it_was_written(
    texts: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("split") / "train.csv"
    written = pd.DataFrame({"line": range(len(texts)), "label": "NA", "text": texts})
    write_split(path, written)
    assert rows(read_split(path)) == rows(written)


def test_a_split_that_is_not_there_names_its_stage(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="dvc repro prepare"):
        read_split(tmp_path / "train.csv")

"""Messages in the forms that public files have: read by parameters alone, or refused in one line.

The texts are invented. The forms are those of files that people publish or that programs write.
"""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from conftest import ROOT

from spam_gpt2.common.files import InputError
from spam_gpt2.common.message_files import Columns
from spam_gpt2.data.label_checks import check_labels
from spam_gpt2.data.messages import read_messages

SHARED_DIR = ROOT.parent / "shared/data/forms"
NEEDS_SHARED = pytest.mark.skipif(not SHARED_DIR.is_dir(), reason=f"no {SHARED_DIR}")

LABELS = ["ham", "spam"] * 10
TEXTS = [f"{'win £5, call now' if i % 2 else 'see you, at home'} {i}" for i in range(20)]
MESSAGES = list(zip(LABELS, TEXTS, strict=True))


def csv_text(rows: list[list[str]], **how: object) -> str:
    """Rows as Python's csv module writes them, which is no code of ours."""
    out = io.StringIO()
    csv.writer(out, **{"lineterminator": "\n"} | how).writerows(rows)
    return out.getvalue()


def rows_of(*header: str, label: int = 0, text: int = 1, width: int = 2) -> list[list[str]]:
    """Messages in rows of some width, below a header if there is one."""
    rows = [list(header)] if header else []
    for i, message in enumerate(MESSAGES):
        row = [f"{place}:{i}" for place in range(width)]
        row[label], row[text] = message
        rows.append(row)
    return rows


def kaggle(*rows: list[str], end: str = "\r\n") -> bytes:
    table = [["v1", "v2", "", "", ""], *([*m, "", "", ""] for m in MESSAGES), *rows]
    return csv_text(table, lineterminator=end).encode("latin-1")


# Form: name of the file, its bytes, the parameters, and what is said.
READ: dict[str, tuple[str, bytes, dict, str]] = {
    "kaggle": ("spam.csv", kaggle(), {"encoding": "latin-1"}, "label is column 'v1', text is"),
    "kaggle by name": (
        "spam.csv", kaggle(),
        {"encoding": "latin-1", "columns": {"label": "v1", "text": "v2"}}, "",
    ),
    "no trailing commas": (
        "spam.csv", kaggle().replace(b",,,\r\n", b"\r\n").replace(b"v1,v2", b"v1,v2,,,"),
        {"encoding": "latin-1"}, "label is column 'v1', text is column 'v2'",
    ),
    "other names": (
        "a.csv", csv_text(rows_of("Category", "Message")).encode(), {},
        "label is column 'Category', text is column 'Message'",
    ),
    "sms and label": (
        "a.csv", csv_text(rows_of("sms", "label", label=1, text=0)).encode(), {},
        "label is column 'label', text is column 'sms'",
    ),
    "YouTube": (
        "a.csv",
        csv_text(rows_of("ID", "DATE", "CONTENT", "CLASS", label=3, text=2, width=4)).encode(), {},
        "label is column 'CLASS', text is column 'CONTENT'; not used: 'ID', 'DATE'",
    ),
    "target": ("a.csv", csv_text(rows_of("Target", "TEXT")).encode(), {}, "'Target'"),
    "message and label": (
        "a.csv", csv_text(rows_of("message", "label", label=1, text=0)).encode(), {}, "'message'"
    ),
    "index of pandas": (
        "a.csv", csv_text(rows_of("", "label", "text", label=1, text=2, width=3)).encode(), {}, ""
    ),
    "quotes, no header": (
        "a.csv", csv_text(rows_of(), quoting=csv.QUOTE_ALL).encode(), {}, ""
    ),
    "semicolons": (
        "a.csv", csv_text(rows_of("label", "text"), delimiter=";").encode("cp1252"),
        {"delimiter": ";", "encoding": "cp1252"}, "",
    ),
    "bars": ("a.txt", csv_text(rows_of(), delimiter="|").encode(), {"delimiter": "|"}, ""),
    "commas in .txt": ("a.txt", csv_text(rows_of()).encode(), {"delimiter": ","}, ""),
    "tabs in .csv": (
        "a.csv", csv_text(rows_of(), delimiter="\t").encode(), {"delimiter": "\t"}, ""
    ),
    "UTF-16": ("a.csv", csv_text(rows_of("label", "text")).encode("utf-16"), {}, ""),
    "UTF-16, big end first": (
        "a.csv", b"\xfe\xff" + csv_text(rows_of("label", "text")).encode("utf-16-be"), {}, ""
    ),
    "UTF-16 without a mark": (
        "a.csv", csv_text(rows_of("label", "text")).encode("utf-16-le"),
        {"encoding": "utf-16-le"}, "",
    ),
    "mark and CR": (
        "a.csv",
        csv_text(rows_of("label", "text"), lineterminator="\r").encode("utf-8-sig"), {}, "",
    ),
    "columns by number": (
        "a.csv", csv_text(rows_of(label=2, text=0, width=4)).encode(),
        {"columns": {"label": 3, "text": 1}}, "",
    ),
    "usual header, by number": (
        "a.csv", csv_text(rows_of("id", "category", "message", label=1, text=2, width=3)).encode(),
        {"columns": {"label": 2, "text": 3}}, "",
    ),
    "JSON Lines": (
        "a.jsonl",
        "".join(json.dumps({"id": 1, "text": t, "label": k}) + "\n" for k, t in MESSAGES).encode(),
        {}, "not used: 'id'",
    ),
    "JSON Lines by content": (
        "dump.txt",
        "\n".join(
            json.dumps({"Message": t, "Category": k}, ensure_ascii=False) for k, t in MESSAGES
        ).encode("utf-8-sig"), {}, "label is column 'Category'",
    ),
    "blank lines at the end": ("a.csv", csv_text(rows_of()).encode() + b"\n\r\n", {}, ""),
    "blanks around labels": (
        "a.tsv", "".join(f" {k} \t{t}\n" for k, t in MESSAGES).encode(), {},
        "blanks around the label are left out in 20 lines",
    ),
}  # fmt: skip


def read(path: Path, **how: object) -> pd.DataFrame:
    if "columns" in how:
        how["columns"] = Columns.model_validate(how["columns"])
    return read_messages(path, **how)


@pytest.mark.parametrize("form", READ)
def test_a_common_form_is_read_whole(
    form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name, content, how, said = READ[form]
    path = tmp_path / name
    path.write_bytes(content)
    messages = read(path, **how)
    assert messages["label"].tolist() == LABELS
    assert messages["text"].tolist() == TEXTS
    assert check_labels(messages, None, path) == ["ham", "spam"]
    news = capsys.readouterr().err
    assert news.count("\n") == bool(said)
    assert said in news


@pytest.mark.parametrize("categories", [False, True])
def test_parquet_is_read(tmp_path: Path, categories: bool) -> None:
    table = pd.DataFrame({"sms": TEXTS, "label": [int(k == "spam") for k in LABELS]})
    if categories:
        table["label"] = pd.Categorical.from_codes(table["label"], ["ham", "spam"])
    table.to_parquet(tmp_path / "messages.parquet")
    messages = read_messages(tmp_path / "messages.parquet")
    assert messages["text"].tolist() == TEXTS
    labels = LABELS if categories else [str(int(k == "spam")) for k in LABELS]
    assert messages["label"].tolist() == labels
    assert messages["line"].tolist() == list(range(1, 21))


@pytest.mark.parametrize("columns", [[2, 3], ["title", "body"]])
def test_several_texts_are_joined(tmp_path: Path, columns: list) -> None:
    header = [["class", "title", "body"]] if columns[0] == "title" else []
    rows = [["1", "A title", "and a body"], ["2", "", "alone"], ["1", "b", "c"]]
    (tmp_path / "news.csv").write_text(csv_text(header + rows))
    messages = read(tmp_path / "news.csv", columns={"label": 1, "text": columns})
    assert messages["text"].tolist() == ["A title and a body", "alone", "b c"]


def test_a_text_that_was_cut_into_columns_without_names_is_put_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "spam.csv"
    path.write_bytes(kaggle(["ham", "one", " two ", "three", ""], ["spam", "a", "", "b", "c"]))
    messages = read_messages(path, encoding="latin-1")
    assert messages["text"].tolist() == [*TEXTS, "one, two ,three", "a,,b,c"]
    assert "2 texts that ran on into columns without a name" in capsys.readouterr().err


def test_a_long_message_is_read(tmp_path: Path) -> None:
    (tmp_path / "long.tsv").write_text(f"ham\t{'a long story ' * 20_000}\nspam\twin\n")
    assert len(read_messages(tmp_path / "long.tsv")["text"][0]) == 260_000


def zipped(name: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(name, "content")
    return out.getvalue()


# Form: name of the file, its bytes, the parameters, and all that the one line has to name.
REFUSED: dict[str, tuple[str, bytes, dict, list[str]]] = {
    "kaggle": ("spam.csv", kaggle(), {}, ["line 3: not UTF-8", "prepare.encoding: latin-1"]),
    "two causes": (
        "a.csv", csv_text(rows_of("label", "text"), delimiter=";").encode("cp1252"), {},
        ["prepare.encoding: latin-1", "prepare.delimiter: ';'"],
    ),
    "dashes of cp1252": (
        "a.csv", "label,text\nham,one – two\n".encode("cp1252"), {}, ["prepare.encoding: cp1252"]
    ),
    "Cyrillic": (
        "a.csv",
        ("label,text\n" + "ham,Привет, как дела? До вечера\n" * 20).encode("cp1251"), {},
        ["prepare.encoding: cp1251"],
    ),
    "UTF-16 without a mark": (
        "a.csv", csv_text(rows_of()).encode("utf-16-le"), {}, ["prepare.encoding: utf-16-le"]
    ),
    "a mark and another encoding": (
        "a.csv", csv_text(rows_of()).encode("utf-8-sig"), {"encoding": "cp1252"},
        ["mark of UTF-8", "prepare.encoding: null"],
    ),
    "the wrong encoding": (
        "a.csv", "label,text\nham,caf\x81\n".encode("latin-1"), {"encoding": "cp1252"},
        ["line 2: not cp1252"],
    ),
    "semicolons": (
        "a.csv", csv_text(rows_of("label", "text"), delimiter=";").encode(), {},
        ["prepare.delimiter: ';'"],
    ),
    "tabs in .csv": (
        "a.csv", csv_text(rows_of(), delimiter="\t").encode(), {}, ["prepare.delimiter: tab"]
    ),
    "commas in .txt": (
        "a.txt", csv_text(rows_of("label", "text")).encode(), {}, ["prepare.delimiter: ','"]
    ),
    "semicolons and commas, no header": (
        "a.csv", csv_text(rows_of(), delimiter=";").encode(), {},
        ["every label holds a semicolon", "prepare.delimiter: ';'"],
    ),
    "no columns at all": ("a.txt", b"one\ntwo\nthree\n", {}, ["1 column: 'one'"]),
    "unknown columns": (
        "a.csv", csv_text(rows_of("kind", "body", "c", "d", "e", width=5)).encode(), {},
        ["5 columns: 'kind', 'body', 'c', 'd', 'e'; name two of them in prepare.columns"],
    ),
    "unknown columns of JSON": (
        "a.jsonl", b'{"kind": "ham", "body": "hi"}\n', {}, ["2 columns: 'kind', 'body'"]
    ),
    "a column that is not there": (
        "a.csv", csv_text(rows_of("v1", "v2")).encode(), {"columns": {"label": "v3", "text": "v2"}},
        ["no column 'v3' among 'v1', 'v2'"],
    ),
    "a number beyond": (
        "a.csv", csv_text(rows_of()).encode(), {"columns": {"label": 1, "text": 3}},
        ["there is no column 3"],
    ),
    "quotes under none": (
        "a.csv", csv_text(rows_of("label", "text")).encode(), {"quoting": "none"},
        ["prepare.quoting: default"],
    ),
    "a marker of old": (
        "a.tsv", b"ham\thi\n\0end\0\nspam\tyou\n", {}, ["line 2: 1 fields where 2 are expected"]
    ),
    "broken JSON": (
        "a.jsonl", b'{"label": "ham", "text": "hi"}\n{"label": "ham"\n', {}, 
        ["line 2: not a JSON object and no more: ", "(character 17)"],
    ),
    "half a character": (
        "a.jsonl", b'{"label": "ham", "text": "\\ud83d"}\n', {}, ["line 1: half a character"]
    ),
    "control characters in a label": (
        "a.csv", b"label,text\nham,a\n\x1b[31mspam,b\n", {}, ["line 3: a control character"]
    ),
    "spreadsheet": ("a.xlsx", zipped("xl/workbook.xml"), {}, ["a spreadsheet", "soffice"]),
    "zip": ("a.csv", zipped("SMSSpamCollection"), {}, ["a zip archive", "unzip"]),
    "gzip": ("a.csv", b"\x1f\x8b\x08", {}, ["a gzip archive", "gunzip"]),
    "HTML": ("a.csv", b"<!DOCTYPE html>\n<html>", {}, ["a web page, not a table", "curl"]),
    "LFS": (
        "a.csv", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", {},
        ["a Git LFS pointer", "lfs pull --include a.csv"],
    ),
    "pickle": ("a.pkl", b"\x80\x04\x95\x00", {}, ["a Python pickle"]),
    "empty": ("a.csv", b"", {}, ["no messages in it"]),
    "only a header": ("a.csv", b"label,text\n", {}, ["no messages in it"]),
}  # fmt: skip


@pytest.mark.parametrize("form", REFUSED)
def test_what_cannot_be_read_is_refused_in_one_line_with_the_remedy(
    form: str, tmp_path: Path
) -> None:
    name, content, how, expected = REFUSED[form]
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read(path, **how)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert all(part in message for part in expected), message
    assert "\n" not in message
    if not message.endswith("prepare.quoting: default)"):
        assert len(re.findall(r"line \d", message)) <= (5 if "Mend these" in message else 1)


WARNED: dict[str, tuple[str, Callable[[], bytes], dict, str]] = {
    "TSV that pandas wrote": (
        "a.tsv",
        lambda: (
            pd.DataFrame({"label": LABELS, "text": [f'"{t}", he said' for t in TEXTS]})
            .assign(text=lambda table: table["text"] + '"')
            .to_csv(sep="\t", index=False)
            .encode()
        ),
        {}, "prepare.quoting: default",
    ),
    "UTF-8 as latin-1": (
        "a.csv", lambda: csv_text(rows_of()).encode(), {"encoding": "latin-1"},
        "set prepare.encoding: null",
    ),
}  # fmt: skip


@pytest.mark.parametrize("form", WARNED)
def test_what_is_read_and_likely_meant_otherwise_is_warned_of(
    form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name, content, how, said = WARNED[form]
    (tmp_path / name).write_bytes(content())
    assert len(read_messages(tmp_path / name, **how)) == 20
    news = capsys.readouterr().err
    assert news.startswith("WARNING: ")
    assert said in news


@NEEDS_SHARED
@pytest.mark.parametrize(
    ("name", "how", "count"),
    [
        ("kaggle_latin1.csv", {"encoding": "latin-1"}, 120),
        ("kaggle_overflow.csv", {}, 120),
        ("category_message.csv", {}, 120),
        ("sms_label01.csv", {}, 120),
        ("youtube_columns.csv", {}, 120),
        ("no_header_quoted.csv", {}, 120),
        ("semicolon_cp1252.csv", {"delimiter": ";", "encoding": "cp1252"}, 120),
        ("pandas.tsv", {"quoting": "default"}, 120),
        ("jsonl.jsonl", {}, 120),
        ("utf16.csv", {}, 120),
        ("utf8_bom_cr.csv", {}, 120),
        ("news_two_texts.csv", {"columns": {"label": 1, "text": [2, 3]}}, 120),
        ("index_column.csv", {}, 120),
        ("trailing_blank_labels.tsv", {}, 120),
        ("long_message.tsv", {}, 121),
        ("formula.csv", {}, 123),
        ("hostile_labels.csv", {}, 120),
        ("conflicting.csv", {}, 121),
    ],
)
def test_the_shared_forms_are_read(name: str, how: dict, count: int) -> None:
    messages = read(SHARED_DIR / name, **how)
    assert len(messages) == count
    assert len(check_labels(messages, None, SHARED_DIR / name)) == 2
    assert not messages["label"].str.contains('"').any()
    if name.startswith("kaggle_latin1"):
        assert messages["text"].str.endswith("£5").all()

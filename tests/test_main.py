"""The command line: `python -m spam_gpt2` with its inputs, outputs, refusals and limits."""

from __future__ import annotations

import csv
import io
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
from conftest import ROOT
from decided import DECISION_DIR, save_decision_for
from trained import CLASSIFIER_DIR, save_trained

from spam_gpt2.__main__ import main, parser
from spam_gpt2.classifier.predict import CHUNK, Predictor
from spam_gpt2.gpt2.model import GPT2

TEXTS = ["Win £1000 cash now!", "See you at home", 'He said "ok", then left', "o\rk"]
FULL_PATH = Path("/dev/full")
COLUMNS = ["label", "probability", "probability_ham", "probability_spam"]


@pytest.fixture
def project(tmp_path: Path, tiny_gpt2: GPT2, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with a trained classifier where the pipeline puts it."""
    save_trained(tmp_path, tiny_gpt2)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@dataclass
class Outcome:
    """What a run of the command line left behind."""

    code: int
    out: str
    err: str


Run = Callable[..., Outcome]


@pytest.fixture
def run(
    project: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> Run:
    """Run the command line in this process, with the bytes of standard input given."""

    def run_main(*args: str | Path, stdin: bytes = b"") -> Outcome:
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", ["spam_gpt2", *map(str, args)])
            # As Python opens them where the locale is C.
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), encoding="ascii"))
            with os.fdopen(os.dup(1), "w", encoding="ascii") as out:
                patch.setattr(sys, "stdout", out)
                try:
                    main()
                    code = 0
                except SystemExit as left:
                    code = left.code
        seen = capfdbinary.readouterr()
        return Outcome(code, seen.out.decode("utf-8"), seen.err.decode("utf-8"))

    return run_main


def refused(outcome: Outcome) -> str:
    """The one line of a run that failed before it printed anything."""
    assert outcome.code == 1
    assert outcome.out == ""
    assert outcome.err.startswith("error: ")
    assert outcome.err.count("\n") == 1
    return outcome.err.removeprefix("error: ").removesuffix("\n")


def table(content: str | Path) -> pd.DataFrame:
    """CSV as pandas reads it, every field as the text that it is."""
    source = io.StringIO(content) if isinstance(content, str) else content
    return pd.read_csv(source, dtype=str, keep_default_na=False)


def write_inbox(texts: list[str], **how: object) -> None:
    """`inbox.csv` as other programs write it: some columns, quotes around every field."""
    inbox = pd.DataFrame({"from": [f"+44 {i}" for i in range(len(texts))], "text": texts})
    inbox.to_csv("inbox.csv", index=False, quoting=csv.QUOTE_ALL, **how)


def assert_predicted(rows: pd.DataFrame, texts: list[str]) -> None:
    """The last columns are the predictions of the texts, to six digits."""
    predictions = list(Predictor.load().predict(texts))
    assert len({p.probability for p in predictions}) > 1 or len(predictions) == 1
    assert list(rows.columns[-4:]) == COLUMNS
    assert rows["label"].tolist() == [p.label for p in predictions]
    expected = [[p.probability, *p.probabilities] for p in predictions]
    for row, figures in zip(rows[COLUMNS[1:]].astype(float).to_numpy(), expected, strict=True):
        assert row == pytest.approx(figures, abs=1e-6)


def test_one_text_gives_its_label_and_probability(run: Run) -> None:
    outcome = run("Win £1000 cash now!")
    label, probability = outcome.out.removesuffix("\n").split("\t")
    (expected,) = Predictor.load().predict(["Win £1000 cash now!"])
    assert label == expected.label
    assert probability == f"{expected.probability:.4f}"
    assert (outcome.code, outcome.err) == (0, "")


def test_several_texts_give_csv(run: Run) -> None:
    outcome = run(*TEXTS)
    rows = table(outcome.out)
    assert rows["text"].tolist() == TEXTS
    assert_predicted(rows, TEXTS)
    assert (outcome.code, outcome.err) == (0, "")


def test_an_empty_text_is_a_message_too(run: Run) -> None:
    (expected,) = Predictor.load().predict([""])
    assert run("").out == f"{expected.label}\t{expected.probability:.4f}\n"


@pytest.mark.parametrize(
    ("before", "end", "last"),
    [(b"", b"\n", b"\n"), (b"", b"\r\n", b"\r\n"), (b"\xef\xbb\xbf", b"\r\n", b"")],
    ids=["LF", "CRLF", "byte-order mark, last line without an end"],
)
def test_each_line_of_standard_input_is_a_message(
    run: Run, before: bytes, end: bytes, last: bytes
) -> None:
    texts = [TEXTS[0], "", *TEXTS[1:]]
    stdin = before + end.join(text.encode("utf-8") for text in texts) + last
    outcome = run(stdin=stdin)
    rows = table(outcome.out)
    assert rows["text"].tolist() == texts
    assert_predicted(rows, texts)
    assert (outcome.code, outcome.err) == (0, "")


def test_no_lines_give_no_rows(run: Run) -> None:
    outcome = run()
    assert table(outcome.out).columns.tolist() == ["text", *COLUMNS]
    assert outcome.out.count("\n") == 1
    assert (outcome.code, outcome.err) == (0, "")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_rows_of_a_csv_file_keep_their_columns(run: Run, encoding: str, line_end: str) -> None:
    texts = [*TEXTS, "two\nlines", ""]
    write_inbox(texts, header=["from", "body"], encoding=encoding, lineterminator=line_end)
    outcome = run("--csv", "inbox.csv", "--column", "body")
    rows = table(outcome.out)
    written = table(Path("inbox.csv"))
    written["from"] = "'" + written["from"]  # telephone numbers: the plus would start a formula
    pd.testing.assert_frame_equal(rows[["from", "body"]], written)
    assert_predicted(rows, texts)
    assert "\r\n" not in outcome.out
    assert (outcome.code, outcome.err) == (0, "")


def test_the_first_column_can_be_the_text_behind_a_byte_order_mark(run: Run, project: Path) -> None:
    (project / "inbox.csv").write_bytes("\ufefftext,n\nSee you at home,1\nok,2\n".encode())
    assert_predicted(table(run("--csv", "inbox.csv").out), ["See you at home", "ok"])


@pytest.mark.parametrize("source", ["one text", "texts", "lines", "csv"])
def test_output_takes_what_would_be_printed(run: Run, project: Path, source: str) -> None:
    write_inbox(TEXTS)
    texts = TEXTS[:1] if source == "one text" else TEXTS
    lines = "".join(f"{text}\n" for text in TEXTS).encode("utf-8") if source == "lines" else b""
    args = {"lines": [], "csv": ["--csv", "inbox.csv"]}.get(source, texts)
    outcome = run(*args, "--output", "new/labels.csv", stdin=lines)
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "")
    rows = table(project / "new/labels.csv")
    assert rows["text"].tolist() == texts
    assert_predicted(rows, texts)
    assert [path.name for path in (project / "new").iterdir()] == ["labels.csv"]


def test_a_file_may_be_replaced_by_its_labelled_self(run: Run, project: Path) -> None:
    write_inbox(TEXTS)
    assert run("--csv", "inbox.csv", "--output", "inbox.csv").code == 0
    assert_predicted(table(project / "inbox.csv"), TEXTS)


def write_rows(path: Path, count: int, bad: str | None = None) -> int:
    """A CSV file of `count` messages; with `bad` in the middle, whose line is returned."""
    lines = ["id,text", *(f"{i},message {i % 90}" for i in range(count))]
    middle = len(lines) // 2
    if bad is not None:
        lines.insert(middle, bad)
    path.write_bytes("\n".join([*lines, ""]).encode("utf-8", "surrogateescape"))
    return middle + 1


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        ("1,ok,3", "{line}: 3 fields where 2 are expected"),
        ("1", "{line}: 1 fields where 2 are expected"),
        ("", "{line}: 0 fields where 2 are expected"),
        ('1,"an open quote', "{line}: a quote is opened and never closed"),
        ('1,"two\nlines",3', "{line}: 3 fields where 2 are expected"),
        ("1,\udcff", "{line}: not UTF-8; it looks like latin-1: give --encoding latin-1"),
        ("1," + "x" * (1 << 24) + "x", "{line}: field larger than field limit (16777216)"),
    ],
    ids=[
        "more fields",
        "fewer fields",
        "empty",
        "open quote",
        "two lines",
        "not UTF-8",
        "too long",
    ],
)
@pytest.mark.parametrize("old", [None, "the old file"])
def test_a_bad_row_is_named_and_leaves_no_half_written_file(
    run: Run, project: Path, bad: str, problem: str, old: str | None
) -> None:
    out_path = project / "out" / "labels.csv"
    out_path.parent.mkdir()
    if old:
        out_path.write_text(old)
    line = write_rows(project / "inbox.csv", 3 * CHUNK, bad)
    outcome = run("--csv", "inbox.csv", "--output", "out/labels.csv")
    assert refused(outcome) == f"inbox.csv: line {problem.format(line=line)}"
    if old:
        assert out_path.read_text() == old
    assert [path.name for path in out_path.parent.iterdir()] == (["labels.csv"] if old else [])


def test_rows_before_a_bad_one_may_have_been_printed_but_the_run_fails(
    run: Run, project: Path
) -> None:
    line = write_rows(project / "inbox.csv", 3 * CHUNK, "1,ok,3")
    outcome = run("--csv", "inbox.csv")
    assert (outcome.code, outcome.err) == (
        1,
        f"error: inbox.csv: line {line}: 3 fields where 2 are expected\n",
    )
    assert len(table(outcome.out)) == CHUNK  # whole rows, of the chunks before


def test_bytes_that_are_no_utf_8_are_refused(run: Run, project: Path) -> None:
    message = refused(run("--output", "labels.csv", stdin=b"ok\n\xff\n"))
    assert message == (
        "standard input: line 2: not UTF-8 text; it looks like latin-1: give --encoding latin-1"
    )
    assert refused(run("ok", "\udcff")) == "TEXT: not UTF-8 text"
    assert not (project / "labels.csv").exists()


@pytest.mark.parametrize(
    ("content", "found", "more"),
    [
        ("id,body\n1,ok\n", "'id', 'body'", ""),
        ("id;text\n", "'id;text'", "; a semicolon separates its fields: give --delimiter ';'"),
        ("\n", "", "; a comma must stand between columns"),
    ],
)
def test_a_file_without_the_column_is_refused_with_those_it_has(
    run: Run, project: Path, content: str, found: str, more: str
) -> None:
    (project / "inbox.csv").write_text(content)
    message = f"inbox.csv: no column 'text' among {found}; name the text's column with --column"
    assert refused(run("--csv", "inbox.csv")) == message + more


def test_who_names_a_column_that_is_not_there_is_not_told_to_name_one(
    run: Run, project: Path
) -> None:
    (project / "inbox.csv").write_text("id,body\n1,ok\n")
    refusal = refused(run("--csv", "inbox.csv", "--column", "nosuch"))
    assert refusal == "inbox.csv: no column 'nosuch' among 'id', 'body'"


def test_an_empty_file_is_called_empty(run: Run, project: Path) -> None:
    (project / "inbox.csv").touch()
    assert refused(run("--csv", "inbox.csv")).startswith("inbox.csv: empty; ")


@pytest.mark.skipif(sys.platform == "win32", reason="no such pipes")
def test_a_csv_file_may_be_a_pipe(run: Run, project: Path) -> None:
    write_inbox(TEXTS)
    os.mkfifo("pipe")
    with subprocess.Popen(["bash", "-c", "cat inbox.csv > pipe"]) as writer:
        try:
            outcome = run("--csv", "pipe")
        finally:
            writer.kill()
    assert outcome.code == 0
    assert_predicted(table(outcome.out), TEXTS)


def test_a_missing_file_is_named(run: Run) -> None:
    assert refused(run("--csv", "inbox.csv")) == "inbox.csv: no such file"


def test_an_output_that_cannot_be_written_is_named(run: Run, project: Path) -> None:
    (project / "folder").mkdir()
    assert (
        refused(run("a", "b", "--output", "folder")) == "folder: a folder; name a file for --output"
    )
    assert refused(run("a", "b", "--output", "")).endswith(": a folder; name a file for --output")
    (project / "file").touch()
    assert refused(run("a", "b", "--output", "file/labels.csv")).startswith("file")
    assert sorted(path.name for path in project.iterdir()) == ["file", "folder", "models"]


def test_text_and_a_file_are_not_mixed(run: Run) -> None:
    outcome = run("ok", "--csv", "inbox.csv")
    assert outcome.code == 2
    assert outcome.err.endswith("error: give TEXT or --csv, not both\n")


def test_a_column_without_a_file_is_refused(run: Run) -> None:
    outcome = run("--column", "body", "ok")
    assert outcome.code == 2
    assert outcome.err.endswith("error: --column names a column of --csv, which is missing\n")


def test_before_the_pipeline_has_run_one_line_says_so(run: Run, project: Path) -> None:
    for path in (project / CLASSIFIER_DIR).iterdir():
        path.unlink()
    expected = (
        "models/classifier: no trained classifier; `dvc repro` makes it in the project's folder, "
        "which --project names from elsewhere"
    )
    assert refused(run("ok")) == expected
    assert refused(run("ok", "--output", "labels.csv")) == expected
    assert not (project / "labels.csv").exists()


def test_the_folders_can_be_named(run: Run, project: Path) -> None:
    before = run("ok")
    (project / "models").rename(project / "elsewhere")
    folders = ("--classifier", "elsewhere/classifier", "--weights", "elsewhere/gpt2")
    assert run("ok", *folders) == before


def raw_spam(texts: list[str]) -> list[float]:
    """Probabilities of spam as trained."""
    return [p.probabilities[1] for p in Predictor.load().predict(texts)]


def test_the_label_follows_the_saved_decision(run: Run, project: Path) -> None:
    """Each of three texts in a part of its own, by the odds worked out here."""
    raw = sorted(zip(raw_spam(TEXTS[:3]), TEXTS[:3], strict=True))
    texts = [text for _, text in raw]

    def decided(p: float) -> float:
        """At the temperature 2, then from half spam to a fifth."""
        odds = (p / (1 - p)) ** 0.5 * 0.2 / 0.8
        return odds / (1 + odds)

    low, middle, high = (decided(p) for p, _ in raw)
    save_decision_for(
        project / CLASSIFIER_DIR / "classifier.json", project / DECISION_DIR, ["ham", "spam"],
        temperature=2.0, shares=[0.8, 0.2], unsure_from=(low + middle) / 2,
        threshold=(middle + high) / 2,
    )  # fmt: skip
    rows = table(run(*texts).out)
    assert rows["label"].tolist() == ["ham", "unsure", "spam"]
    spam = rows["probability_spam"].astype(float).tolist()
    assert spam == pytest.approx([low, middle, high], abs=1e-6)
    of_labels = [1 - low, max(middle, 1 - middle), high]  # of unsure, the more probable one's
    assert rows["probability"].astype(float).tolist() == pytest.approx(of_labels, abs=1e-6)
    assert run(texts[1]).out == f"unsure\t{of_labels[1]:.4f}\n"
    assert_predicted(table(run(*texts, "--argmax").out), texts)
    above = table(run(*texts, "--threshold", str((low + middle) / 2)).out)
    assert above["label"].tolist() == ["ham", "spam", "spam"]
    assert above["probability_spam"].tolist() == rows["probability_spam"].tolist()


def test_without_a_decision_a_threshold_is_of_the_probabilities_as_trained(run: Run) -> None:
    low, high = sorted(raw_spam(TEXTS[:2]))
    rows = table(run(*TEXTS[:2], "--threshold", str((low + high) / 2)).out)
    assert sorted(rows["label"]) == ["ham", "spam"]
    assert table(run(*TEXTS[:2], "--threshold", "1").out)["label"].tolist() == ["ham", "ham"]
    assert table(run(*TEXTS[:2], "--threshold", "0").out)["label"].tolist() == ["spam", "spam"]


def test_a_decision_of_another_classifier_is_refused_and_argmax_reads_none(
    run: Run, project: Path
) -> None:
    card_path, folder = project / CLASSIFIER_DIR / "classifier.json", project / "other"
    save_decision_for(card_path, folder, ["ham", "spam"], card_sha256="0" * 64)
    expected = (
        "other/decision.json: chosen for another classifier than the one in models/classifier; run "
        "`dvc repro reports/dvc.yaml:calibrate`, or give --argmax"
    )
    assert run("ok").code == 0  # it lies elsewhere
    assert refused(run("ok", "--decision", "other")) == expected
    assert refused(run("ok", "--decision", "other", "--threshold", "0.5")) == expected
    assert run("ok", "--decision", "other", "--argmax").out == run("ok").out
    assert refused(run("ok", "--decision", "nowhere")) == (
        "nowhere/decision.json: no such file; `dvc repro reports/dvc.yaml:calibrate` makes it"
    )


@pytest.mark.parametrize("value", ["1.1", "-0.1", "nan", "half"])
def test_a_threshold_is_a_probability(run: Run, value: str) -> None:
    outcome = run("ok", f"--threshold={value}")
    assert outcome.code == 2
    assert f"--threshold: '{value}' is no probability from 0 to 1\n" in outcome.err
    assert run("ok", "--threshold", "0.5", "--argmax").code == 2


def test_a_threshold_of_three_classes_is_refused(run: Run, project: Path, tiny_gpt2: GPT2) -> None:
    save_trained(project, tiny_gpt2, labels=["ham", "news", "spam"])
    assert refused(run("ok", "--threshold", "0.5")) == (
        "--threshold: is of two classes, and there are 3"
    )


def readme_commands() -> list[list[str]]:
    """The arguments of every `python -m spam_gpt2` in the README, without what the shell takes."""
    commands = []
    for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("$ python -m spam_gpt2 "):
            words = shlex.split(line.removeprefix("$ "), comments=True)[3:]
            shell = next((i for i, word in enumerate(words) if word in "<>|"), len(words))
            commands.append(words[:shell])
    return commands


def test_the_readmes_commands_are_understood() -> None:
    commands = readme_commands()
    assert len(commands) >= 3
    for words in commands:
        parser().parse_args(words)  # leaves the process for an option that does not exist


def test_help_tells_what_the_readme_tells(run: Run) -> None:
    outcome = run("--help")
    told = " ".join(outcome.out.split())
    assert outcome.code == 0
    assert told.startswith("usage: python -m spam_gpt2 ")
    assert "every line of standard input is a message" in told
    assert "prints its label and probability; all else is CSV" in told
    options = {word for words in readme_commands() for word in words if word.startswith("--")}
    assert options
    assert all(option in told for option in options)
    assert "(text)" in told  # the default column
    assert "(models/classifier in --project)" in told
    assert "`label` follows the saved decision" in told
    assert "Without a saved decision it is the most probable label." in told


def command(*args: str) -> list[str]:
    return [sys.executable, "-m", "spam_gpt2", *args]


def run_buffered(args: list[str], **streams: object) -> subprocess.CompletedProcess[str]:
    """Run a process whose output is buffered, whatever the environment says of Python's."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | streams
    return subprocess.run(args, env=environment, text=True, timeout=100, **streams)


def test_a_reader_that_has_enough_ends_the_run_without_a_word(project: Path) -> None:
    write_rows(project / "inbox.csv", 6 * CHUNK)
    line = f"{shlex.join(command('--csv', 'inbox.csv'))} | head -1; exit ${{PIPESTATUS[0]}}"
    done = run_buffered(["bash", "-c", line])
    assert table(done.stdout).columns.tolist() == ["id", "text", *COLUMNS]
    assert (done.returncode, done.stderr) == (0, "")


def test_a_reader_that_left_before_the_first_row_is_no_error_either(project: Path) -> None:
    """What was written waits in the buffer until the end, and only then finds nobody there."""
    reading, writing = os.pipe()
    os.close(reading)
    done = run_buffered(command("a", "b"), stdout=writing)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(sys.platform == "win32", reason="no terminal to imitate")
def test_who_types_messages_is_told_how_to_end(project: Path) -> None:
    ours, terminal = os.openpty()
    os.write(ours, b"Win cash now\nSee you at home\n\x04")
    done = run_buffered(command(), stdin=terminal)
    os.close(terminal)
    os.close(ours)
    assert (done.returncode, done.stderr) == (
        0, "Type messages, one a line; Ctrl-D on an empty line ends them.\n"
    )  # fmt: skip
    assert_predicted(table(done.stdout), ["Win cash now", "See you at home"])


def test_an_interrupt_is_one_line_and_leaves_no_file(
    run: Run, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(self: Predictor, texts: list[str]) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Predictor, "predict", interrupted)
    outcome = run("a", "b", "--output", "labels.csv")
    assert (outcome.code, outcome.out, outcome.err) == (130, "", "interrupted\n")
    assert [path.name for path in project.iterdir()] == ["models"]


@pytest.mark.skipif(sys.platform == "win32", reason="no such pipes")
def test_a_named_pipe_stays_one_and_its_reader_gets_the_rows(project: Path) -> None:
    os.mkfifo("pipe")
    with subprocess.Popen(["cat", "pipe"], stdout=subprocess.PIPE, text=True) as reader:
        done = run_buffered(command("a", "b", "--output", "pipe"))
        try:
            rows, _ = reader.communicate(timeout=20)
        finally:
            reader.kill()  # or it waits for ever where no pipe is left to write to
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert_predicted(table(rows), ["a", "b"])
    assert (project / "pipe").is_fifo()


def test_output_goes_where_a_link_points(project: Path, run: Run) -> None:
    (project / "results").mkdir()
    (project / "labels.csv").symlink_to("results/labels.csv")
    assert run("a", "b", "--output", "labels.csv").code == 0
    assert (project / "labels.csv").is_symlink()
    assert_predicted(table(project / "results/labels.csv"), ["a", "b"])


@pytest.mark.skipif(not FULL_PATH.exists(), reason="no device that is always full")
def test_a_full_disk_is_one_line(project: Path) -> None:
    with FULL_PATH.open("w") as full:
        done = run_buffered(command("a", "b"), stdout=full)
    assert (done.returncode, done.stderr) == (
        1,
        "error: standard output: No space left on device\n",
    )


MEASURED = """
import sys
from spam_gpt2.__main__ import main
from spam_gpt2.common.console import peak_memory
main()
print(peak_memory(), file=sys.stderr)
"""


def peak_memory_for(project: Path, messages: int) -> int:
    """MB that the command line needs for a file of messages of 4 kB."""
    path = project / f"{messages}.csv"
    with path.open("w") as file:
        file.write("id,text\n")
        file.writelines(f"{i},{'see you ' * 500}\n" for i in range(messages))
    args = ["--csv", path.name, "--output", "labels.csv"]
    done = run_buffered([sys.executable, "-c", MEASURED, *args])
    assert done.returncode == 0, done.stderr
    assert len(table(project / "labels.csv")) == messages
    return int(done.stderr)


@pytest.mark.skipif(sys.platform == "win32", reason="no peak of memory to read")
def test_memory_does_not_grow_with_the_file(project: Path) -> None:
    """Five thousand messages more are 20 MB: half of that would show that they are kept."""
    few, many = (peak_memory_for(project, messages) for messages in (1_000, 6_000))
    assert many - few < 10


# Other forms, by the reader of `prepare`.


def write_form(form: str, texts: list[str]) -> list[str]:
    """A file of texts and labels in a form; returns the options that read it."""
    labels = ["ham", "spam"] * (len(texts) // 2)
    inbox = pd.DataFrame({"label": labels, "text": texts})
    match form:
        case "tsv":
            rows = "".join(f"{label}\t{text}\n" for label, text in zip(labels, texts, strict=True))
            Path("inbox.tsv").write_bytes(f"label\ttext\n{rows}".encode())
            return ["--csv", "inbox.tsv"]
        case "semicolons":
            inbox.to_csv("inbox.csv", index=False, sep=";", encoding="cp1252")
            return ["--csv", "inbox.csv", "--delimiter", ";", "--encoding", "cp1252"]
        case "utf-16":
            inbox.to_csv("inbox.csv", index=False, encoding="utf-16")
            return ["--csv", "inbox.csv"]
        case "json":
            inbox.to_json("inbox.jsonl", orient="records", lines=True)
            return ["--csv", "inbox.jsonl"]
        case "parquet":
            inbox.to_parquet("inbox.parquet")
            return ["--csv", "inbox.parquet"]
    raise AssertionError(form)


@pytest.mark.parametrize("form", ["tsv", "semicolons", "utf-16", "json", "parquet"])
def test_a_file_in_another_form_keeps_its_labels(run: Run, form: str) -> None:
    texts = ["Win £1000 cash now!", "See you – at home", 'He said "ok", then left', "so; what"]
    outcome = run(*write_form(form, texts))
    assert (outcome.code, outcome.err) == (0, "")
    rows = table(outcome.out)
    assert list(rows) == ["label", "text", "predicted", *COLUMNS[1:]]
    assert rows["label"].tolist() == ["ham", "spam"] * 2
    assert rows["text"].tolist() == texts
    assert rows["predicted"].tolist() == [p.label for p in Predictor.load().predict(texts)]


def test_what_was_classified_can_be_classified_again(run: Run, project: Path) -> None:
    write_inbox(TEXTS)
    run("--csv", "inbox.csv", "--output", "once.csv")
    run("--csv", "once.csv", "--output", "twice.csv")
    once, twice = table(project / "once.csv"), table(project / "twice.csv")
    assert len(set(twice.columns)) == len(twice.columns)
    assert list(twice.columns[: len(once.columns)]) == list(once.columns)
    added = twice.iloc[:, len(once.columns) :]
    assert list(added)[:2] == ["predicted", "probability_2"]
    assert added["predicted"].tolist() == once["label"].tolist()


def test_a_column_with_a_usual_name_is_taken_and_said(run: Run, project: Path) -> None:
    (project / "inbox.csv").write_bytes("v1,v2,,,\nham,See you £5,,,\nham,a,b,,\n".encode("cp1252"))
    outcome = run("--csv", "inbox.csv", "--encoding", "latin-1")
    assert (outcome.code, outcome.err) == (0, "inbox.csv: text is column 'v2'\n")
    (project / "whole.csv").write_text('text\nSee you £5\n"a,b"\n', encoding="utf-8")
    found, expected = table(outcome.out), table(run("--csv", "whole.csv").out)
    assert found["label"].tolist() == expected["label"].tolist()
    assert found["probability"].tolist() == expected["probability"].tolist()


def test_the_wrong_options_are_answered_with_the_right_ones(run: Run, project: Path) -> None:
    (project / "inbox.csv").write_bytes("label;text\nham;See you – at home\n".encode("cp1252"))
    message = refused(run("--csv", "inbox.csv"))
    assert message.startswith("inbox.csv: line 2: not UTF-8; ")
    assert "give --encoding cp1252" in message
    assert "give --delimiter ';'" in message
    message = refused(run("--csv", "inbox.csv", "--encoding", "cp1252"))
    assert "give --delimiter ';'" in message


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("--encoding", "latin-0", "'latin-0' is no encoding"),
        ("--encoding", "hex", "'hex' is no encoding"),
        ("--delimiter", "||", "'||' is not one character"),
        ("--delimiter", ";", "--delimiter says how to read --csv, which is missing"),
    ],
)
def test_an_option_that_makes_no_sense(run: Run, option: str, value: str, expected: str) -> None:
    outcome = run("ok", option, value)
    assert outcome.code == 2
    assert expected in outcome.err


def test_lines_of_standard_input_in_another_encoding(run: Run) -> None:
    outcome = run("--encoding", "utf-16", stdin="Win £1000\r\nok\r\n".encode("utf-16"))
    assert table(outcome.out)["text"].tolist() == ["Win £1000", "ok"]


def test_no_field_is_a_formula_to_a_spreadsheet(run: Run) -> None:
    texts = ["=1+1", "@home now", "-5", "fine"]
    rows = table(run(*texts).out)
    assert rows["text"].tolist() == ["'=1+1", "'@home now", "'-5", "fine"]
    assert_predicted(rows, texts)


def test_a_file_that_is_no_table_is_refused_by_what_it_is(run: Run, project: Path) -> None:
    (project / "inbox.csv").write_text("<!DOCTYPE html>\n<html></html>\n")
    assert "a web page, not a table" in refused(run("--csv", "inbox.csv"))
    (project / "inbox.parquet").write_bytes(b"PAR1 and no more")
    assert "not a whole Parquet file" in refused(run("--csv", "inbox.parquet"))


def test_a_disguised_message_is_answered_as_the_plain_one_where_the_classifier_folds(
    project: Path, run: Run, tiny_gpt2: GPT2
) -> None:
    disguised, undone = "W\u0456n c\u0430\u200bsh N0W", "win cash now"
    assert run(disguised).out != run(undone).out
    save_trained(project, tiny_gpt2, fold=["characters", "case"])
    assert run(disguised).out == run(undone).out
    (project / "in.csv").write_text(f"text\n{disguised}\n{undone}\n", encoding="utf-8")
    rows = list(csv.reader(io.StringIO(run("--csv", "in.csv").out)))
    assert rows[1][0] == disguised  # the text is given back as it came
    assert rows[1][1:] == rows[2][1:]


@pytest.mark.parametrize("by", ["project", "classifier"])
def test_it_answers_from_another_folder(
    project: Path, run: Run, tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch, by: str,
) -> None:  # fmt: skip
    here = run("Ok, see you at six")
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    named = project if by == "project" else project / CLASSIFIER_DIR
    assert run(f"--{by}", named, "Ok, see you at six") == here

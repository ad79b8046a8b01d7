"""Classify messages: `python -m spam_gpt2 "You have won a prize, call now"`."""

from __future__ import annotations

import argparse
import csv
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, TextIO, TypeVar

from spam_gpt2.classifier.artifacts import CARD_FILE
from spam_gpt2.classifier.decision import DECISION_DIR, DECISION_FILE, REMEDY, OtherClassifierError
from spam_gpt2.classifier.predict import CLASSIFIER_DIR, WEIGHTS_DIR, Predictor
from spam_gpt2.common.console import one_line_errors, progress, say
from spam_gpt2.common.csv_injection import guard
from spam_gpt2.common.files import InputError, whole_file
from spam_gpt2.common.message_files import one_character, text_encoding
from spam_gpt2.common.text import one_line, visible
from spam_gpt2.data.columns import own_columns
from spam_gpt2.data.encodings import DecodingError, likely_encoding, text_lines
from spam_gpt2.data.rows import text_rows
from spam_gpt2.data.table import Form

T = TypeVar("T")
DESCRIPTION = """Classify messages with the model that `dvc repro` trained.
`python -m spam_gpt2 app` opens a page for it."""
EPILOG = """\
Without TEXT and --csv, every line of standard input is a message. One message given as TEXT prints
its label and probability; all else is CSV on standard output or in --output. A column `label` that
the file has stays as it is, and ours is then named `predicted`. `label` follows the saved
decision: its threshold, its share of spam and, where it has one, its zone `unsure`. Without a saved
decision it is the most probable label."""


def parser() -> argparse.ArgumentParser:
    """The command line, as --help shows it."""
    it = argparse.ArgumentParser(prog="python -m spam_gpt2", description=DESCRIPTION, epilog=EPILOG)
    it.add_argument("text", nargs="*", metavar="TEXT", help="a message; several may be given")
    it.add_argument(
        "--csv", type=Path, metavar="FILE",
        help="classify the rows of a file: CSV, TSV, JSON Lines or Parquet",
    )  # fmt: skip
    it.add_argument(
        "--column", metavar="NAME", help="the column of --csv that holds the text (text)"
    )
    it.add_argument(
        "--encoding", type=_checked(text_encoding), metavar="NAME",
        help="of --csv or standard input (UTF-8, or what a byte-order mark says)",
    )  # fmt: skip
    it.add_argument(
        "--delimiter", type=_checked(one_character), metavar="CHARACTER",
        help="between the fields of --csv: one character, or tab (a tab in .tsv, else a comma)",
    )  # fmt: skip
    it.add_argument(
        "--quoting", choices=("default", "none"),
        help="whether quotes enclose the fields of --csv (none between tabs, else default)",
    )  # fmt: skip
    it.add_argument("--output", type=Path, metavar="FILE", help="write the CSV there")
    it.add_argument(
        "--project", type=Path, default=Path(), metavar="DIR",
        help="folder in which `dvc repro` ran (the present one)",
    )  # fmt: skip
    it.add_argument(
        "--classifier", type=Path, metavar="DIR",
        help=f"folder of the trained classifier ({CLASSIFIER_DIR} in --project)",
    )  # fmt: skip
    it.add_argument(
        "--weights", type=Path, metavar="DIR",
        help=f"folder of the converted GPT-2 weights (`{WEIGHTS_DIR.name}`, beside --classifier)",
    )  # fmt: skip
    it.add_argument(
        "--decision", type=Path, metavar="DIR",
        help="folder of the decision that `make report` saves (`decision`, beside --classifier)",
    )  # fmt: skip
    rule = it.add_mutually_exclusive_group()
    rule.add_argument(
        "--threshold", type=_checked(_probability), metavar="P",
        help="the second of two labels where its probability is above P, else the first",
    )  # fmt: skip
    rule.add_argument(
        "--argmax", action="store_true",
        help="the most probable label and the probabilities as trained; no decision is read",
    )  # fmt: skip
    return it


def _probability(text: str) -> float:
    """A number from 0 to 1; ValueError for anything else."""
    with suppress(ValueError):
        if 0 <= (value := float(text)) <= 1:
            return value
    raise ValueError(f"{text!r} is no probability from 0 to 1")


def _checked(check: Callable[[str], T]) -> Callable[[str], T]:
    """A type of argparse whose errors say what the check says."""

    def checked(value: str) -> T:
        try:
            return check(value)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return checked


def main() -> None:
    """Parse the command line, classify, and turn errors of the input into one line."""
    if sys.argv[1:2] == ["app"]:  # a message of this one word stands behind `--`
        from spam_gpt2.app.__main__ import main as open_page

        return open_page(sys.argv[2:])
    args = parser().parse_args()
    if args.text and args.csv:
        parser().error("give TEXT or --csv, not both")
    if args.column and not args.csv:
        parser().error("--column names a column of --csv, which is missing")
    for name in ("delimiter", "quoting"):
        if getattr(args, name) and not args.csv:
            parser().error(f"--{name} says how to read --csv, which is missing")
    sys.stdout.reconfigure(encoding="utf-8")  # whatever the locale says
    with one_line_errors(args.output or "standard output"):
        try:
            run(args)
            sys.stdout.flush()
        except BrokenPipeError:  # whoever read our output has enough, as `head` does
            _discard_output()
        except OSError:
            _discard_output()
            raise


def run(args: argparse.Namespace) -> None:
    """Classify what the parsed arguments ask for."""
    if args.csv and not args.csv.exists():
        raise InputError(f"{args.csv}: no such file")
    if args.csv and args.csv.is_dir():
        raise InputError(f"{args.csv}: a folder")
    if args.output and args.output.is_dir():
        raise InputError(f"{args.output}: a folder; name a file for --output")
    if any("\udc80" <= character <= "\udcff" for text in args.text for character in text):
        raise InputError("TEXT: not UTF-8 text")  # Python keeps such bytes as lone surrogates
    predictor = _predictor(args)
    if not args.text and not args.csv and sys.stdin.isatty():
        say("Type messages, one a line; Ctrl-D on an empty line ends them.")
    if len(args.text) == 1 and not args.output:
        only = next(predictor.predict(args.text))
        label = one_line(only.label) if sys.stdout.isatty() else only.label
        print(f"{label}\t{only.probability:.4f}")
        return
    if args.output:
        with _output(args.output) as out:
            _classify(args, predictor, out)
    else:
        _classify(args, predictor, sys.stdout)


def _predictor(args: argparse.Namespace) -> Predictor:
    """The classifier with its saved decision, or with what the options put in its place."""
    folder = args.classifier or args.project / CLASSIFIER_DIR
    if not (folder / CARD_FILE).exists():
        raise InputError(
            f"{folder}: no trained classifier; `dvc repro` makes it in the project's folder, "
            "which --project names from elsewhere"
        )
    weights_dir = args.weights or folder.parent / WEIGHTS_DIR.name
    if args.argmax:
        return Predictor.load(folder, weights_dir)
    decision_dir = args.decision or folder.parent / DECISION_DIR.name
    if args.decision and not (args.decision / DECISION_FILE).exists():
        raise InputError(f"{args.decision / DECISION_FILE}: no such file; {REMEDY} makes it")
    try:
        predictor = Predictor.load(folder, weights_dir, decision_dir=decision_dir)
    except OtherClassifierError as error:
        raise InputError(f"{error}, or give --argmax") from None
    if args.threshold is None:
        return predictor
    try:
        decision = replace(predictor.decision, threshold=args.threshold, unsure_from=None)
    except InputError as error:
        raise InputError(f"--{error}") from None
    return replace(predictor, decision=decision)


def _classify(args: argparse.Namespace, predictor: Predictor, out: TextIO) -> None:
    """Stream rows through the model: each is read, classified and written, none is kept."""
    with progress(unit="message") as bar:
        if args.csv:
            with args.csv.open("rb") as file:
                form = Form(args.encoding, args.delimiter, args.quoting, ",", _option)
                rows = text_rows(file, args.csv, form, args.column)
                _write(next(rows), rows, predictor, out, bar.update)
        else:
            texts = args.text or _messages(sys.stdin.buffer, args.encoding)
            rows = (([text], text) for text in texts)
            _write(["text"], rows, predictor, out, bar.update)


def _write(header: list[str], rows: Iterable, predictor: Predictor, out: TextIO, tick) -> None:
    """CSV of the given columns, then label, probability and the probability of every label.

    All text is quoted, for the reason in `files.write_csv`. No field starts a formula in a
    spreadsheet, see `csv_injection.py`; on a terminal, what cannot be seen is escaped instead.
    """
    field = visible if out.isatty() else guard
    writer = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writerow(map(field, [*header, *own_columns(header, predictor.card.labels)]))
    waiting: list[list[str]] = []

    def texts() -> Iterator[str]:
        for columns, text in rows:
            waiting.append(columns)
            yield text

    for prediction in predictor.predict(texts()):
        shares = [round(p, 6) for p in (prediction.probability, *prediction.probabilities)]
        writer.writerow([*map(field, [*waiting.pop(0), prediction.label]), *shares])
        tick()


def _messages(file: BinaryIO, encoding: str | None) -> Iterator[str]:
    """The lines of standard input, which end at LF or CRLF."""
    try:
        for line in text_lines(file, encoding or "utf-8-sig", newline="\n"):
            yield line.rstrip("\r\n")
    except DecodingError as error:
        likely = likely_encoding(error.bytes)
        advice = f"; it looks like {likely}: {_option('encoding', likely)}" if likely else ""
        name = encoding or "UTF-8"
        raise InputError(f"standard input: line {error.line}: not {name} text{advice}") from None


def _option(name: str, value: str) -> str:
    return f"leave out --{name}" if value == "null" else f"give --{name} {value}"


@contextmanager
def _output(path: Path) -> Iterator[TextIO]:
    """A file that appears when it is whole; what a link points to; or a pipe or device as it is."""
    text = {"encoding": "utf-8", "newline": ""}
    if path.exists() and not path.is_file():  # or a file would take its place
        with path.open("w", **text) as out:
            yield out
        return
    final_path = path.resolve() if path.is_symlink() else path
    with whole_file(final_path) as beside_path, beside_path.open("w", **text) as out:
        yield out


def _discard_output() -> None:
    """What still waits for standard output must not fail once more when Python exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()

"""Classify messages: `python -m spam_gpt2 "You have won a prize, call now"`."""

from __future__ import annotations

import argparse
import csv
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TextIO

from spam_gpt2.classifier.predict import CLASSIFIER_DIR, WEIGHTS_DIR, Predictor
from spam_gpt2.common.console import one_line_errors, progress, say
from spam_gpt2.common.files import InputError, whole_file
from spam_gpt2.common.tables import guard, unguard
from spam_gpt2.common.text import one_line, visible

DESCRIPTION = "Classify messages with the model that `dvc repro` trained."
EPILOG = """\
Without TEXT and --csv, every line of standard input is a message. One message given as TEXT prints
its label and probability; all else is CSV on standard output or in --output."""


def parser() -> argparse.ArgumentParser:
    """The command line, as --help shows it."""
    it = argparse.ArgumentParser(prog="python -m spam_gpt2", description=DESCRIPTION, epilog=EPILOG)
    it.add_argument("text", nargs="*", metavar="TEXT", help="a message; several may be given")
    it.add_argument("--csv", type=Path, metavar="FILE", help="classify the rows of a CSV file")
    it.add_argument(
        "--column", metavar="NAME", help="the column of --csv that holds the text (text)"
    )
    it.add_argument("--output", type=Path, metavar="FILE", help="write the CSV there")
    it.add_argument(
        "--classifier", type=Path, default=CLASSIFIER_DIR, metavar="DIR",
        help="folder of the trained classifier (%(default)s)",
    )  # fmt: skip
    it.add_argument(
        "--weights", type=Path, default=WEIGHTS_DIR, metavar="DIR",
        help="folder of the converted GPT-2 weights (%(default)s)",
    )  # fmt: skip
    return it


def main() -> None:
    """Parse the command line, classify, and turn errors of the input into one line."""
    args = parser().parse_args()
    if args.text and args.csv:
        parser().error("give TEXT or --csv, not both")
    if args.column and not args.csv:
        parser().error("--column names a column of --csv, which is missing")
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
    predictor = Predictor.load(args.classifier, args.weights)
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


def _classify(args: argparse.Namespace, predictor: Predictor, out: TextIO) -> None:
    """Stream rows through the model: each is read, classified and written, none is kept."""
    with progress(unit="message") as bar:
        if args.csv:
            with args.csv.open("rb") as file:
                rows = _csv_rows(file, args.csv, args.column or "text")
                _write(next(rows), rows, predictor, out, bar.update)
        else:
            texts = args.text or _messages(sys.stdin.buffer)
            _write(["text"], (([text], text) for text in texts), predictor, out, bar.update)


def _write(header, rows: Iterable, predictor: Predictor, out: TextIO, tick) -> None:
    """CSV of the given columns, then label, probability and the probability of every label.

    All text is quoted, for the reason in `files.write_csv`. No field starts a formula in a
    spreadsheet, see `tables.py`; on a terminal, what cannot be seen is escaped instead.
    """
    field = visible if out.isatty() else guard
    names = [f"probability_{label}" for label in predictor.card.labels]
    writer = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writerow(map(field, [*header, "label", "probability", *names]))
    waiting: list[list[str]] = []

    def texts() -> Iterator[str]:
        for columns, text in rows:
            waiting.append(columns)
            yield text

    for prediction in predictor.predict(texts()):
        shares = [round(p, 6) for p in (prediction.probability, *prediction.probabilities)]
        writer.writerow([*map(field, [*waiting.pop(0), prediction.label]), *shares])
        tick()


def _messages(file: BinaryIO) -> Iterator[str]:
    return (line.rstrip("\r\n") for line in _lines(file, "standard input"))


def _csv_rows(file: BinaryIO, path: Path, column: str) -> Iterator:
    """The header, then each row with its text. Raises InputError with the line it stumbles over."""
    csv.field_size_limit(1 << 24)
    reader = csv.reader(_lines(file, path), strict=True)
    line = 1  # of the row's first line; quoted fields may span several
    try:
        header = next(reader, None)
        if header is None:
            raise InputError(f"{path}: empty; expected a line with the columns' names")
        header = list(map(unguard, header))
        if column not in header:
            raise InputError(
                f"{path}: no column {column!r} among {', '.join(map(repr, header))}; name the "
                "text's column with --column; commas must stand between columns"
            )
        yield header
        index = header.index(column)
        line = reader.line_num + 1
        for row in reader:
            if len(row) != len(header):
                raise InputError(f"{path}: line {line}: {len(row)} fields, expected {len(header)}")
            row = list(map(unguard, row))
            yield row, row[index]
            line = reader.line_num + 1
    except csv.Error as error:
        raise InputError(f"{path}: line {line}: {error}") from None


def _lines(file: BinaryIO, name: str | Path) -> Iterator[str]:
    """Lines of UTF-8 text with their ends, a byte-order mark left out; a bad one is named."""
    for number, line in enumerate(file, 1):
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError:
            raise InputError(f"{name}: line {number}: not UTF-8 text; save it as UTF-8") from None


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

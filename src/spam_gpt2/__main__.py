"""Classify messages: `python -m spam_gpt2 "You have won a prize, call now"`."""

from __future__ import annotations

import argparse
import csv
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO

from spam_gpt2.console import exit_with_error, progress
from spam_gpt2.files import InputError, whole_file
from spam_gpt2.predict import CLASSIFIER_DIR, WEIGHTS_DIR, Predictor

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
        "--column", default="text", help="the column of --csv that holds the text (%(default)s)"
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
    """Parse the command line, classify, and turn InputError into one line."""
    args = parser().parse_args()
    if args.text and args.csv:
        parser().error("give TEXT or --csv, not both")
    for stream in (sys.stdin, sys.stdout):
        stream.reconfigure(encoding="utf-8")  # whatever the locale says
    try:
        run(args)
    except InputError as error:
        exit_with_error(error)
    except BrokenPipeError:  # whoever read our output has enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def run(args: argparse.Namespace) -> None:
    """Classify what the parsed arguments ask for."""
    if args.csv and not args.csv.is_file():
        raise InputError(f"{args.csv}: no such file")
    predictor = Predictor.load(args.classifier, args.weights)
    if len(args.text) == 1 and not args.output:
        only = next(predictor.predict(args.text))
        print(f"{only.label}\t{only.probability:.4f}")
        return
    if args.output:
        with whole_file(args.output) as path, path.open("w", encoding="utf-8", newline="") as out:
            _classify(args, predictor, out)
    else:
        _classify(args, predictor, sys.stdout)


def _classify(args: argparse.Namespace, predictor: Predictor, out: TextIO) -> None:
    """Stream rows through the model: each is read, classified and written, none is kept."""
    with progress(unit="message") as bar:
        if args.csv:
            with _open_csv(args.csv) as file:
                rows = _csv_rows(file, args.csv, args.column)
                _write(next(rows), rows, predictor, out, bar.update)
        else:
            texts = args.text or _lines(sys.stdin)
            _write(["text"], (([text], text) for text in texts), predictor, out, bar.update)


def _write(header, rows: Iterable, predictor: Predictor, out: TextIO, tick) -> None:
    """CSV of the given columns, then label, probability and the probability of every label."""
    names = [f"probability_{label}" for label in predictor.card.labels]
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*header, "label", "probability", *names])
    waiting: list[list[str]] = []

    def texts() -> Iterator[str]:
        for columns, text in rows:
            waiting.append(columns)
            yield text

    for prediction in predictor.predict(texts()):
        shares = [f"{p:.6f}" for p in (prediction.probability, *prediction.probabilities)]
        writer.writerow([*waiting.pop(0), prediction.label, *shares])
        tick()


def _lines(stream: TextIO) -> Iterator[str]:
    try:
        for line in stream:
            yield line.rstrip("\r\n")
    except UnicodeDecodeError:
        raise InputError("standard input: not UTF-8 text") from None


def _open_csv(path: Path) -> TextIO:
    csv.field_size_limit(1 << 24)
    return path.open(encoding="utf-8-sig", newline="")


def _csv_rows(file: TextIO, path: Path, column: str) -> Iterator:
    """The header, then each row with its text. Raises InputError with the line it stumbles over."""
    reader = csv.reader(file)
    try:
        header = next(reader, None)
        if header is None or column not in header:
            raise InputError(f"{path}: no column {column!r}; name the text's column with --column")
        yield header
        index = header.index(column)
        for row in reader:
            if len(row) != len(header):
                raise InputError(
                    f"{path}: line {reader.line_num}: {len(row)} fields, expected {len(header)}"
                )
            yield row, row[index]
    except UnicodeDecodeError:
        raise InputError(f"{path}: near line {reader.line_num + 1}: not UTF-8 text") from None
    except csv.Error as error:
        raise InputError(f"{path}: line {reader.line_num}: {error}") from None


if __name__ == "__main__":
    main()

"""Score Parquet on Spark: `python -m spam_gpt2.scoring INPUT OUTPUT`, or by `spark-submit`."""

from __future__ import annotations

import argparse

from spam_gpt2.common.console import one_line_errors
from spam_gpt2.common.params import load_params
from spam_gpt2.scoring.score import ROWS_A_TASK, score, tell
from spam_gpt2.scoring.session import MASTER, need_spark, spark_session
from spam_gpt2.tracking.registry import MODEL_NAME, find_champion, version_uri

DESCRIPTION = """Label the messages of Parquet files with the registered champion, on Spark: here,
or on a cluster with --master or `spark-submit`. Every row is written as it was, with a label and
the probabilities, as by `python -m spam_gpt2 --csv`."""


def parser() -> argparse.ArgumentParser:
    """The command line, as --help shows it."""
    it = argparse.ArgumentParser(prog="python -m spam_gpt2.scoring", description=DESCRIPTION)
    it.add_argument("input", metavar="INPUT", help="Parquet: a file, a folder, or an address")
    it.add_argument("output", metavar="OUTPUT", help="folder to write, which must not exist")
    it.add_argument("--column", metavar="NAME", help="that holds the text (text)")
    it.add_argument(
        "--model", metavar="URI", help="as MLflow names it, or a folder (the registered champion)"
    )
    it.add_argument("--master", metavar="URL", help=f"Spark's (spark-submit's, else {MASTER})")
    it.add_argument(
        "--rows-per-task", type=_positive, default=ROWS_A_TASK, metavar="N",
        help="at most so many are lost with a worker, and read again (%(default)s)",
    )  # fmt: skip
    return it


def _positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return number


def main() -> None:
    """Parse the command line, score, and turn errors of the input into one line."""
    args = parser().parse_args()
    with one_line_errors(args.output):
        run(args)


def run(args: argparse.Namespace) -> None:
    """Score what the parsed arguments name, and say what was written."""
    need_spark()
    model = args.model or version_uri(MODEL_NAME, find_champion(load_params()))
    with spark_session(args.master) as spark:
        scored = score(spark, args.input, args.output, model, args.column, args.rows_per_task)
    tell(scored, args.output)


if __name__ == "__main__":
    main()

"""Add the hold-out's figures, which take longer than the rest, to this classifier's MLflow run."""

from __future__ import annotations

from pathlib import Path

from spam_gpt2.common.console import run_stage
from spam_gpt2.common.files import write_text
from spam_gpt2.common.params import load_params
from spam_gpt2.tracking.sending import send_later_results

STAGES = ("extract_holdout", "evaluate_holdout")


def main() -> None:
    became = send_later_results("track_holdout", load_params(), ["holdout"], STAGES)
    write_text(Path("reports/tracked_holdout.txt"), became + "\n")


if __name__ == "__main__":
    run_stage(main, __file__)

"""Add what the analyses found, metrics and pictures, to this classifier's MLflow run."""

from __future__ import annotations

from pathlib import Path

from spam_gpt2.common.console import run_stage
from spam_gpt2.common.files import write_text
from spam_gpt2.common.params import load_params
from spam_gpt2.tracking.sending import send_later_results

STAGES = (
    *("calibrate", "compare", "robustness", "explain", "learning_curve"),
    *("cross_validate", "evaluate_external"),
)
METRICS = (
    *("calibration", "comparison", "robustness", "errors", "learning_curve"),
    *("cross_validation", "external"),
)
STAGE = "reports/dvc.yaml:track_analyses"


def main() -> None:
    became = send_later_results(STAGE, load_params(), METRICS, STAGES)
    write_text(Path("reports/tracked_analyses.txt"), became + "\n")


if __name__ == "__main__":
    run_stage(main, __file__)

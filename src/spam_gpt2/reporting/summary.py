"""The end of `make repro`: a short table of results and where to look next."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from spam_gpt2.common.console import one_line_errors
from spam_gpt2.common.files import read_json
from spam_gpt2.common.text import visible

FIGURES = ("accuracy", "precision", "recall", "f1", "roc_auc", "loss")
STAND_IN = "gpt2-mini"


def results_table(gpt2: dict[str, Any], baseline: dict[str, Any]) -> str:
    """Test figures of GPT-2 and of the baseline with their intervals, side by side."""
    lines = [f"{'test set':<12}{gpt2['weights']:<28}TF-IDF + logistic regression"]
    for figure in FIGURES:
        cells = [
            f"{model['test'][figure]:.3f}  [{low:.3f}, {high:.3f}]"
            for model in (gpt2, baseline)
            for low, high in [model["test_intervals"][figure]]
        ]
        lines.append(f"{figure:<12}{cells[0]:<28}{cells[1]}")
    return "\n".join(lines)


def results(root: Path) -> str:
    """What was reached, with which weights, and where the rest is."""
    gpt2, baseline = (read_json(root / f"metrics/{name}.json") for name in ("gpt2", "baseline"))
    note = ""
    if STAND_IN in gpt2["weights"]:
        note = (
            f"\nThese weights are {STAND_IN}, the small stand-in: its figures say nothing about "
            "GPT-2.\nFor the real ones, with access to OpenAI's host: "
            "dvc repro --force fetch_gpt2 && dvc repro\n"
        )
    return f"""
{results_table(gpt2, baseline)}
{note}
Look next:
  plots/gpt2/confusion_test.png       the confusion matrix of the test set
  dvc plots show                      loss, accuracy, ROC and more in one page
  make report                         threshold, robustness, mistakes: reports/index.html
  make mlflow                         all runs side by side
  dvc exp run --temp --name short -S finetune.epochs=3    change a parameter, then compare:
                                      dvc metrics diff workspace short
  python -m spam_gpt2 "some message"  use the classifier (source .venv/bin/activate first)
"""


def holdout(root: Path) -> str:
    """The false-positive rate at the natural rate of the classes."""
    metrics = read_json(root / "metrics/holdout.json")
    lines = [
        f"hold-out: {rate['false_positives']} of {rate['messages']} {label} messages are taken for "
        f"something else ({rate['false_positive_rate']:.1%})"
        for label, rate in metrics.items()
        if isinstance(rate, dict)
    ]
    return "\n".join(lines) or "hold-out: no messages were left over"


def main() -> None:
    """Print the table, or with --holdout the one line for the hold-out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--holdout", action="store_true", help="only the hold-out's line")
    args = parser.parse_args()
    with one_line_errors():
        print(visible((holdout if args.holdout else results)(Path()), keep="\n"))


if __name__ == "__main__":
    main()

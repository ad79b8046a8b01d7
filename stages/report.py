"""One page with all results, which opens without internet: reports/index.html."""

import csv
from pathlib import Path

from spam_gpt2.common.console import run_stage
from spam_gpt2.common.files import read_json, write_text
from spam_gpt2.common.params import PARAMS_PATH, load_params
from spam_gpt2.common.secrets import without_secrets
from spam_gpt2.reporting.report_page import leak, of_these_messages, read_pictures, render_report

METRICS = (
    "gpt2", "baseline", "holdout", "data", "tokens", "training", "calibration", "comparison",
    "robustness", "cross_validation", "external",
)  # fmt: skip
PICTURES = [
    "gpt2/confusion_test", "baseline/confusion_test", "compare/roc", "compare/precision_recall",
    "finetune/loss", "finetune/accuracy", "calibrate/reliability", "robustness/robustness",
    "learning_curve/accuracy", "cross_validate/folds", "explain/tokens",
]  # fmt: skip
REPORTS_DIR = Path("reports")
EXPERIMENTS_NOTE = (
    "Accuracies in per cent; unseen are the test messages whose text is no training message's, "
    "new campaigns those that are not even nearly the same. "
    "Seconds are of a whole execution."
)


def main() -> None:
    params = load_params().model_dump()
    every = read_experiments(REPORTS_DIR / "experiments.csv")
    experiments = of_these_messages(every, params)
    context = {name: read_json(Path(f"metrics/{name}.json")) for name in METRICS}
    context |= {
        "params": params,
        "params_text": without_secrets(PARAMS_PATH.read_text(encoding="utf-8")),
        "errors": read_json(REPORTS_DIR / "errors.json"),
        "probe": (REPORTS_DIR / "probe.md").read_text(encoding="utf-8"),
        "experiments": experiments,
        "experiments_note": EXPERIMENTS_NOTE,
        "leak": leak(experiments),
    }
    pictures = read_pictures(Path("plots"), PICTURES)
    if len(context["gpt2"]["labels"]) == 2:
        pictures |= read_pictures(Path("plots"), ["calibrate/prevalence"])
    if context["external"]["files"]:
        pictures |= read_pictures(Path("plots"), ["external/external"])
    if experiments == every:  # the picture shows all
        pictures |= read_pictures(REPORTS_DIR, ["experiments"])
    page = render_report(context, pictures)
    write_text(REPORTS_DIR / "index.html", page)


def read_experiments(path: Path) -> list[dict[str, str]]:
    """The table that `make experiments` wrote, which is in git."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


if __name__ == "__main__":
    run_stage(main, __file__)

"""The model card: data, weights, licences, intended use, limits and figures with intervals."""

from pathlib import Path

from spam_gpt2.common.console import run_stage
from spam_gpt2.common.files import read_json, write_text
from spam_gpt2.common.params import load_params
from spam_gpt2.reporting.model_card import model_card

METRICS = ("gpt2", "baseline", "holdout", "data", "training", "calibration", "comparison")


def main() -> None:
    metrics = {name: read_json(Path(f"metrics/{name}.json")) for name in METRICS}
    card = model_card(**metrics, params=load_params().model_dump())
    write_text(Path("reports/model_card.md"), card)


if __name__ == "__main__":
    run_stage(main, __file__)

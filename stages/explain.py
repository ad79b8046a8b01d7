"""The most confident mistakes on the test set, and the tokens that drove each of them."""

from pathlib import Path

from spam_gpt2.classifier.predict import Predictor
from spam_gpt2.common.console import run_stage
from spam_gpt2.common.files import write_csv, write_json, write_text
from spam_gpt2.common.nested import class_keys
from spam_gpt2.common.params import load_params
from spam_gpt2.evaluation.errors import confident_mistakes, errors_report, explain, quoted
from spam_gpt2.evaluation.predictions import read_predictions
from spam_gpt2.figures.charts import save_bars

import pandas as pd

REPORTS_DIR = Path("reports")
PLOTS_DIR = Path("plots/explain")
PANELS = 6  # classes in the picture, those of the most telling tokens


def main() -> None:
    params = load_params()
    predictor = Predictor.load(settings=params.compute)
    card = predictor.card
    predicted = read_predictions(Path("data/predictions/gpt2/test.csv"), card.labels)
    mistakes = confident_mistakes(predicted, card.labels)
    distinct = mistakes.drop_duplicates("text")[: params.explain.mistakes]
    explained = explain(predictor, distinct, params.explain.tokens)
    total = len(predicted[0])
    report = errors_report(card.weights, total, len(mistakes), explained)
    model = {"weights": card.weights, "weights_sha256": card.weights_sha256}
    write_json(REPORTS_DIR / "errors.json", model | explained)
    write_text(REPORTS_DIR / "errors.md", report)
    keys = zip(class_keys(card.labels, ["total"]), card.labels, strict=True)
    counts = {key: int((mistakes["label"] == label).sum()) for key, label in keys}
    metrics = model | {"messages": total, "mistakes": {"total": len(mistakes), **counts}}
    write_json(Path("metrics/errors.json"), metrics)
    write_plots(explained["tokens"], card.weights)


def write_plots(tokens: dict[str, list[dict]], weights: str) -> None:
    """Each class's most telling tokens, as a table and as a picture."""
    rows = [{"label": label, **token} for label, found in tokens.items() for token in found]
    columns = ["label", "text", "score", "places"]
    write_csv(PLOTS_DIR / "tokens.csv", pd.DataFrame(rows, columns=columns))
    most = sorted(filter(tokens.get, tokens), key=lambda k: -tokens[k][0]["score"])[:PANELS]
    panels = {
        f"for {label}": pd.DataFrame(
            {"score": [t["score"] for t in found]}, [quoted(t["text"]) for t in found]
        )
        for label, found in tokens.items()
        if label in most or not most
    }
    save_bars(
        PLOTS_DIR / "tokens.png", panels, title="Tokens that speak for the wrong class (test)",
        note=f"mean log-odds that a token adds in the classifier's mistakes; {weights}",
    )  # fmt: skip


if __name__ == "__main__":
    run_stage(main, __file__)

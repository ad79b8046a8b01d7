"""The trained classifier and the baseline on labelled messages from elsewhere."""

from pathlib import Path
from typing import Any

from spam_gpt2.classifier.artifacts import CARD_FILE
from spam_gpt2.classifier.decision import DECISION_DIR, load_decision
from spam_gpt2.classifier.predict import CLASSIFIER_DIR, Predictor
from spam_gpt2.common.console import run_stage, say
from spam_gpt2.common.files import write_csv, write_json
from spam_gpt2.common.params import Params, load_params
from spam_gpt2.data.external import read_external, unknown_messages
from spam_gpt2.data.messages import read_split
from spam_gpt2.evaluation.baseline import fit_baseline
from spam_gpt2.evaluation.external import Judges, right_rows, right_table, save_right
from spam_gpt2.evaluation.predictions import label_ids, predictions_table

import pandas as pd

SPLITS = ("train", "validation", "test", "holdout")  # all the messages that the pipeline knows
PLOTS_DIR = Path("plots/external")
PREDICTIONS_DIR = Path("data/predictions/external")


def main() -> None:
    params = load_params()
    PREDICTIONS_DIR.mkdir(parents=True, exist_ok=True)
    metrics, rows = evaluate(params) if params.external else ({"files": {}}, [])
    table = right_table(rows)
    write_csv(PLOTS_DIR / "right.csv", table)
    if rows:
        save_right(PLOTS_DIR / "external.png", table, note=metrics["weights"])
    write_json(Path("metrics/external.json"), metrics)


def evaluate(params: Params) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What metrics/external.json holds, and the rows of the picture; writes the predictions."""
    predictor = Predictor.load(settings=params.compute)
    card, labels = predictor.card, predictor.card.labels
    splits = {name: read_split(Path(f"data/prepared/{name}.csv")) for name in SPLITS}
    train, test = splits["train"], splits["test"]
    known = pd.concat([frame["text"] for frame in splits.values()])
    actual = label_ids(train, labels)
    baseline = fit_baseline(train["text"], actual, params.baseline, card.fold)
    decision = load_decision(DECISION_DIR, CLASSIFIER_DIR / CARD_FILE, labels)
    judges = Judges(predictor, baseline, params.evaluate, decision)
    own = judges.judge(test.assign(origin=test["label"]))
    rows = right_rows("own test", own.figures)
    files: dict[str, Any] = {}
    for entry in params.external:
        read = read_external(entry, labels)
        messages = unknown_messages(read, known)
        counts = {"sha256": entry.sha256, "read": len(read), "messages": len(messages)}
        say(f"{entry.name}: {len(messages):,} of {len(read):,} messages stand in none of ours")
        if len(messages):
            judged = judges.judge(messages)
            counts |= judged.figures | {"drift": judges.drift(train["text"], own, judged)}
            rows += right_rows(entry.name, judged.figures)
            table = predictions_table(messages, judged.probabilities, labels)
            table.insert(2, "label in the file", messages["origin"])
            write_csv(PREDICTIONS_DIR / f"{entry.name}.csv", table)
        files[entry.name] = counts
    return {"weights": card.weights, "weights_sha256": card.weights_sha256, "files": files}, rows


if __name__ == "__main__":
    run_stage(main, __file__)

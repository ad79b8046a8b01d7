"""TF-IDF and logistic regression on the same splits: what GPT-2 has to beat."""

from pathlib import Path

from spam_gpt2.common.console import run_stage
from spam_gpt2.common.files import read_csv
from spam_gpt2.common.labels import read_labels
from spam_gpt2.common.params import load_params
from spam_gpt2.data.messages import read_split
from spam_gpt2.data.splits import SPLITS
from spam_gpt2.evaluation.baseline import fit_baseline
from spam_gpt2.evaluation.evaluation import write_evaluation
from spam_gpt2.evaluation.predictions import label_ids

PREPARED_DIR = Path("data/prepared")


def main() -> None:
    params = load_params()
    labels = read_labels()
    splits = {split: read_split(PREPARED_DIR / f"{split}.csv") for split in SPLITS}
    train = splits["train"]
    folds = params.classifier.fold or []
    model = fit_baseline(train["text"], label_ids(train, labels), params.baseline, folds)
    predicted = {
        split: (messages, model.predict_proba(messages["text"]))
        for split, messages in splits.items()
    }
    name = {"model": "TF-IDF and logistic regression"}
    campaigns = read_csv(Path("data/campaigns.csv"), ["split", "label", "text"])
    write_evaluation("baseline", name, predicted, labels, params.evaluate, campaigns)


if __name__ == "__main__":
    run_stage(main, __file__)

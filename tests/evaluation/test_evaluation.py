"""An evaluation leaves the files that DVC expects, with contents that another way gives too."""

from __future__ import annotations

import csv
import json
import shutil
from collections import Counter
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import ROOT
from PIL import Image
from scipy import stats
from sklearn import metrics as sk

from spam_gpt2.common.files import InputError, sha256_of, write_csv
from spam_gpt2.common.params import Evaluate
from spam_gpt2.data.splits import SPLITS
from spam_gpt2.evaluation.evaluation import write_evaluation
from spam_gpt2.evaluation.holdout import write_holdout_evaluation
from spam_gpt2.evaluation.metrics import confidence_intervals
from spam_gpt2.evaluation.predictions import (
    Predicted,
    label_ids,
    predictions_table,
    read_predictions,
)

CURVES = ("roc", "precision_recall")
PIPELINE = ROOT / "dvc.yaml"
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
MODEL = {"weights": "tiny", "weights_sha256": "0" * 64}
SETTINGS = Evaluate(confidence=0.9, resamples=100, seed=1)
SIZES = {"train": 40, "validation": 15, "test": 30}
AWKWARD = [
    'comma, "quotes" and a lone "',
    "two\nlines",
    "windows\r\nlines",
    "an old\rline end",
    "a\ttab",
    "NA",
    "null",
    "12",
    " spaces around ",
    "£1 ü 你好 😀",
    "=1+1",
    '"',
    "\r",
]
CLASSES = {"two": ["ham", "spam"], "three": ["news", "ham", "spam"]}
COLLIDING = ["total", "weights", "line", "text", "label", "predicted", "</script><b>$x</b>"]


NO_CAMPAIGNS = pd.DataFrame(columns=["campaign", "split", "line"])


def predicted(labels: list[str], count: int, seed: int) -> Predicted:
    """Messages in random order, and float32 probabilities that are right more often than not."""
    random = np.random.default_rng(seed)
    actual = np.concatenate([np.arange(len(labels)), random.integers(len(labels), size=count)])
    texts = AWKWARD + [f"message {i}" for i in range(len(actual))]
    messages = pd.DataFrame(
        {
            "line": np.arange(len(actual)) * 2 + 1,
            "label": [labels[k] for k in actual],
            "text": texts[: len(actual)],
        }
    )
    scores = random.random((len(actual), len(labels))) + 0.5 * np.eye(len(labels))[actual]
    order = random.permutation(len(actual))
    probabilities = (scores / scores.sum(1, keepdims=True)).astype(np.float32)
    return messages.iloc[order], probabilities[order]


def three_splits(labels: list[str]) -> dict[str, Predicted]:
    return {
        split: predicted(labels, count, seed) for seed, (split, count) in enumerate(SIZES.items())
    }


def evaluate(
    folder: Path,
    splits: dict[str, Predicted],
    labels: list[str],
    name: str = "gpt2",
    seed: int = 1,
    campaigns: pd.DataFrame = NO_CAMPAIGNS,
) -> None:
    """Write an evaluation into a folder."""
    folder.mkdir(exist_ok=True)
    settings = SETTINGS.model_copy(update={"seed": seed})
    with chdir(folder):
        write_evaluation(name, MODEL, splits, labels, settings, campaigns)


@dataclass(frozen=True)
class Evaluation:
    """What was evaluated, and where its files are."""

    folder: Path
    labels: list[str]
    splits: dict[str, Predicted]

    @property
    def metrics(self) -> dict:
        return read_json(self.folder / "metrics/gpt2.json")


@pytest.fixture(scope="module", params=CLASSES.values(), ids=list(CLASSES))
def evaluation(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Evaluation:
    """An evaluation of two and one of three classes, written once. Do not change its files."""
    made = Evaluation(
        tmp_path_factory.mktemp("evaluation"), request.param, three_splits(request.param)
    )
    evaluate(made.folder, made.splits, made.labels)
    return made


def files_of_stage(stage: str, name: str) -> set[str]:
    """What a stage writes, all of it in the outputs and metrics that dvc.yaml lists for it."""
    files = {f"metrics/{name}.json"}
    files |= {f"data/predictions/{name}/{split}.csv" for split in SPLITS}
    files |= {f"plots/{name}/{curve}.{e}" for curve in CURVES for e in ("csv", "png")}
    for split in SPLITS:
        endings = (".csv", ".png", "_normalized.png")
        files |= {f"plots/{name}/confusion_{split}{ending}" for ending in endings}
    listed = yaml.safe_load(PIPELINE.read_text(encoding="utf-8"))["stages"][stage]
    entries = listed["outs"] + listed["metrics"]
    outs = {entry if isinstance(entry, str) else next(iter(entry)) for entry in entries}
    assert outs == {f"plots/{name}", f"data/predictions/{name}", f"metrics/{name}.json"}
    return files


def digests(folder: Path) -> dict[str, str]:
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): sha256_of(path) for path in paths}


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def columns(path: Path, *names: str, of_class: str | None = None) -> np.ndarray:
    """Columns of numbers of a CSV, (rows, columns), of all rows or those of a class."""
    rows = [row for row in read_csv(path) if of_class in (None, row.get("class"))]
    return np.array([[float(row[name]) for name in names] for row in rows])


def read_json(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def test_all_files_that_dvc_expects_are_written_and_no_other(evaluation: Evaluation) -> None:
    assert set(digests(evaluation.folder)) == files_of_stage("evaluate", "gpt2")


def test_the_baseline_has_its_own_files(tmp_path: Path) -> None:
    evaluate(tmp_path, three_splits(CLASSES["two"]), CLASSES["two"], "baseline")
    assert set(digests(tmp_path)) == files_of_stage("baseline", "baseline")


def test_metrics_are_scikit_learns(evaluation: Evaluation) -> None:
    metrics = evaluation.metrics
    assert metrics.items() >= MODEL.items()
    assert metrics["labels"] == evaluation.labels
    for split, (messages, probabilities) in evaluation.splits.items():
        expected = expected_metrics(messages["label"], probabilities, evaluation.labels)
        assert metrics[split] == pytest.approx(expected, abs=1e-5)


def expected_metrics(
    actual: pd.Series, probabilities: np.ndarray, labels: list[str]
) -> dict[str, float]:
    """By the names of the labels: scikit-learn's report, and areas of one class at a time."""
    guessed = [labels[k] for k in probabilities.argmax(1)]
    report = sk.classification_report(actual, guessed, output_dict=True, zero_division=0)
    positives = labels[-1:] if len(labels) == 2 else labels
    areas = [
        sk.roc_auc_score(actual == label, probabilities[:, labels.index(label)])
        for label in positives
    ]
    of_label = [probabilities[i, labels.index(label)] for i, label in enumerate(actual)]
    row = report["spam" if len(labels) == 2 else "macro avg"]
    return {
        "accuracy": report["accuracy"],
        "precision": row["precision"],
        "recall": row["recall"],
        "f1": row["f1-score"],
        "roc_auc": np.mean(areas),
        "loss": -np.mean(np.log(of_label)),
    }


def test_the_last_of_two_labels_is_the_positive_one(tmp_path: Path) -> None:
    messages = pd.DataFrame({"line": [1, 2, 3], "label": ["spam", "ham", "ham"], "text": "hi"})
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]])
    evaluate(tmp_path, dict.fromkeys(SPLITS, (messages, probabilities)), ["spam", "ham"])
    metrics = read_json(tmp_path / "metrics/gpt2.json")["test"]
    assert metrics["precision"] == 1  # one message is taken for ham, and is ham
    assert metrics["recall"] == 1 / 2
    pictures = (tmp_path / f"plots/gpt2/confusion_{split}.png" for split in SPLITS)
    assert len(set(map(sha256_of, pictures))) == 3  # the same matrix, but a title of its own


def test_the_test_figures_have_intervals_as_asked(evaluation: Evaluation) -> None:
    metrics = evaluation.metrics
    intervals = metrics["test_intervals"]
    assert list(intervals) == list(metrics["test"])
    for name, (low, high) in intervals.items():
        assert low <= metrics["test"][name] <= high, name
    messages, probabilities = evaluation.splits["test"]
    actual = np.array([evaluation.labels.index(label) for label in messages["label"]])
    asked = {"confidence": 0.9, "resamples": 100, "seed": 1}
    assert intervals == confidence_intervals(actual, probabilities, **asked)
    guessed = [evaluation.labels[k] for k in probabilities.argmax(1)]
    right = int((messages["label"] == guessed).sum())
    wilson = stats.binomtest(right, len(messages)).proportion_ci(0.9, method="wilson")
    assert intervals["accuracy"] == pytest.approx([wilson.low, wilson.high], abs=1e-6)


def test_accuracy_without_leak_by_hand(tmp_path: Path) -> None:
    def messages(*texts: str) -> pd.DataFrame:
        labels = ["ham", "spam"] * 2
        return pd.DataFrame({"line": range(1, 5), "label": labels, "text": texts})

    taken_for = np.eye(2)[[0, 1, 1, 1]]  # the third is wrong
    texts = {
        "train": ("win", "Call", "see you", "call now"),
        "validation": ("win", "Call", "see you", "call now"),
        "test": ("win", "call", "later", "call now"),  # the first and the last are in train
    }
    splits = {split: (messages(*of_split), taken_for) for split, of_split in texts.items()}
    evaluate(tmp_path, splits, ["ham", "spam"])
    metrics = read_json(tmp_path / "metrics/gpt2.json")
    assert metrics["test"]["accuracy"] == 3 / 4
    wilson = stats.binomtest(1, 2).proportion_ci(0.9, method="wilson")
    assert metrics["test_unseen"] == {
        "messages": 2,
        "accuracy": 1 / 2,
        "interval": pytest.approx([wilson.low, wilson.high], abs=1e-6),
    }
    splits["test"] = splits["validation"]
    evaluate(tmp_path, splits, ["ham", "spam"])
    assert read_json(tmp_path / "metrics/gpt2.json")["test_unseen"] == {"messages": 0}


def test_the_accuracy_on_new_campaigns_leaves_out_those_of_train(tmp_path: Path) -> None:
    labels = ["ham", "spam", "ham", "spam"]
    messages = {
        split: pd.DataFrame({"line": lines, "label": labels, "text": [f"{k}" for k in lines]})
        for split, lines in {"train": [1, 2, 3, 4], "test": [5, 6, 7, 8]}.items()
    }
    messages["validation"] = messages["train"]
    taken_for = np.eye(2)[[0, 1, 1, 1]]  # the third is wrong
    splits = {split: (messages[split], taken_for) for split in ("train", "validation", "test")}
    rows = [(1, "train", 1), (1, "test", 5), (2, "holdout", 9), (2, "test", 6), (3, "test", 8)]
    campaigns = pd.DataFrame(rows, columns=["campaign", "split", "line"])
    evaluate(tmp_path, splits, ["ham", "spam"], campaigns=campaigns)
    found = read_json(tmp_path / "metrics/gpt2.json")["test_new_campaigns"]
    assert (found["messages"], found["accuracy"]) == (3, 0.666667)  # all but line 5


def test_confusion_matrices_count_true_and_predicted_labels(evaluation: Evaluation) -> None:
    labels = evaluation.labels
    for split, (messages, probabilities) in evaluation.splits.items():
        guessed = [labels[k] for k in probabilities.argmax(1)]
        pairs = list(zip(messages["label"], guessed, strict=True))
        table = read_csv(evaluation.folder / f"plots/gpt2/confusion_{split}.csv")
        assert [(row["actual"], row["predicted"]) for row in table] == pairs
        counts = Counter(pairs)
        expected = [[counts[true, guess] for guess in labels] for true in labels]
        assert evaluation.metrics["confusion"][split] == expected


def in_a_spreadsheet(text: str) -> str:
    """With an apostrophe before what would be a formula there."""
    return f"'{text}" if text.lstrip("'")[:1] in [*"=+-@\t\r\n"] else text


def test_predictions_keep_every_message_to_the_character(evaluation: Evaluation) -> None:
    shares = [f"probability_{label}" for label in evaluation.labels]
    for split, (messages, probabilities) in evaluation.splits.items():
        path = evaluation.folder / f"data/predictions/gpt2/{split}.csv"
        table = read_csv(path)
        assert list(table[0]) == ["line", "label", "predicted", *shares, "text"]
        assert [row["text"] for row in table] == [*map(in_a_spreadsheet, messages["text"])]
        assert [row["label"] for row in table] == messages["label"].tolist()
        assert [int(row["line"]) for row in table] == messages["line"].tolist()
        guessed = [evaluation.labels[k] for k in probabilities.argmax(1)]
        assert [row["predicted"] for row in table] == guessed
        assert np.array_equal(columns(path, *shares).astype(np.float32), probabilities)
        assert {*map(in_a_spreadsheet, AWKWARD)} <= {row["text"] for row in table}


def test_predictions_are_read_back_as_they_were(evaluation: Evaluation) -> None:
    for split, (messages, probabilities) in evaluation.splits.items():
        path = evaluation.folder / f"data/predictions/gpt2/{split}.csv"
        read, read_probabilities = read_predictions(path, evaluation.labels)
        assert read.to_dict("list") == messages.to_dict("list")
        assert np.array_equal(read_probabilities.astype(np.float32), probabilities)


def test_no_field_of_the_predictions_is_a_formula_to_a_spreadsheet(tmp_path: Path) -> None:
    """OWASP's list of first characters; whatever stood there is read back, marks of our own too."""
    texts = ['=HYPERLINK("http://example.com")', "+1", "-2", "@home", "\t=1", "'=1", "''+1", "'tis"]
    labels = ["=a", "b"]
    messages = pd.DataFrame({"line": range(8), "label": labels * 4, "text": texts})
    probabilities = np.tile([[0.75, 0.25]], (8, 1))
    path = tmp_path / "predictions.csv"
    write_csv(path, predictions_table(messages, probabilities, labels))
    for row in read_csv(path):
        assert not {row["label"][0], row["predicted"][0], row["text"][0]} & set(FORMULA_STARTS)
    read, _ = read_predictions(path, labels)
    assert read.to_dict("list") == messages.to_dict("list")


def test_curves_are_those_of_the_test_set_class_by_class(evaluation: Evaluation) -> None:
    messages, probabilities = evaluation.splits["test"]
    plots_dir, labels = evaluation.folder / "plots/gpt2", evaluation.labels
    named = labels[1:] if len(labels) == 2 else ["macro average", *labels]
    for curve in CURVES:
        assert [
            *dict.fromkeys(row["class"] for row in read_csv(plots_dir / f"{curve}.csv"))
        ] == named
    for label in set(named) & set(labels):
        is_class, scores = messages["label"] == label, probabilities[:, labels.index(label)]
        fpr, tpr, _ = sk.roc_curve(is_class, scores)
        names = "false_positive_rate", "true_positive_rate"
        roc = columns(plots_dir / "roc.csv", *names, of_class=label)
        assert roc == pytest.approx(np.column_stack([fpr, tpr]), abs=1e-6)
        precision, recall, _ = sk.precision_recall_curve(is_class, scores)
        path = plots_dir / "precision_recall.csv"
        written = columns(path, "recall", "precision", of_class=label)
        assert written == pytest.approx(np.column_stack([recall, precision])[::-1], abs=1e-6)


def test_every_picture_is_a_png_of_its_own(evaluation: Evaluation) -> None:
    paths = sorted((evaluation.folder / "plots/gpt2").glob("*.png"))
    assert len(paths) == 8
    for path in paths:
        with Image.open(path) as picture:
            picture.load()
            assert picture.format == "PNG"
    assert len({sha256_of(path) for path in paths}) == 8


def test_the_same_predictions_give_the_same_bytes(evaluation: Evaluation, tmp_path: Path) -> None:
    evaluate(tmp_path, three_splits(evaluation.labels), evaluation.labels)
    assert digests(tmp_path) == digests(evaluation.folder)


def test_another_seed_changes_intervals_only_and_files_are_replaced(
    evaluation: Evaluation, tmp_path: Path
) -> None:
    shutil.copytree(evaluation.folder, tmp_path, dirs_exist_ok=True)
    evaluate(tmp_path, evaluation.splits, evaluation.labels, seed=2)
    before, after = digests(evaluation.folder), digests(tmp_path)
    assert before.keys() == after.keys()
    assert {path for path in before if before[path] != after[path]} == {"metrics/gpt2.json"}
    metrics = read_json(tmp_path / "metrics/gpt2.json")
    changed = {key for key, value in metrics.items() if value != evaluation.metrics[key]}
    assert changed == {"test_intervals"}


def test_text_files_have_lf_line_ends(evaluation: Evaluation) -> None:
    for path in ("plots/gpt2/roc.csv", "plots/gpt2/confusion_test.csv", "metrics/gpt2.json"):
        content = (evaluation.folder / path).read_bytes()
        assert b"\r" not in content
        assert content.endswith(b"\n")


# The hold-out.


def holdout(*guesses: tuple[str, str], labels: list[str]) -> Predicted:
    """Messages by their label and the one that they are taken for."""
    messages = pd.DataFrame(
        {
            "line": range(len(guesses)),
            "label": pd.Series([label for label, _ in guesses], dtype=str),
            "text": pd.Series(AWKWARD[: len(guesses)], dtype=str),
        }
    )
    places = [labels.index(guess) for _, guess in guesses]
    probabilities = np.full((len(guesses), len(labels)), 0.1, np.float32)
    probabilities[np.arange(len(guesses)), places] = 1.1 - 0.1 * len(labels)
    return messages, probabilities


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, which is the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_false_positives_of_the_holdout_are_counted(folder: Path) -> None:
    labels = CLASSES["two"]
    guesses = [("ham", "ham")] * 6 + [("ham", "spam")] * 2
    write_holdout_evaluation(MODEL, holdout(*guesses, labels=labels), labels, SETTINGS)
    wilson = stats.binomtest(2, 8).proportion_ci(0.9, method="wilson")
    assert read_json(folder / "metrics/holdout.json") == MODEL | {
        "ham": {
            "messages": 8,
            "false_positives": 2,
            "false_positive_rate": 0.25,
            "interval": pytest.approx([wilson.low, wilson.high], abs=1e-6),
        }
    }
    assert set(digests(folder)) == {"metrics/holdout.json", "data/predictions/holdout.csv"}
    table = read_csv(folder / "data/predictions/holdout.csv")
    assert [row["predicted"] for row in table] == ["ham"] * 6 + ["spam"] * 2
    assert [row["text"] for row in table] == AWKWARD[:8]


def test_each_of_three_classes_has_its_own_count(folder: Path) -> None:
    labels = CLASSES["three"]
    guesses = [("ham", "spam"), ("news", "news"), ("ham", "news"), ("news", "news"), ("ham", "ham")]
    write_holdout_evaluation(MODEL, holdout(*guesses, labels=labels), labels, SETTINGS)
    metrics = read_json(folder / "metrics/holdout.json")
    assert list(metrics) == [*MODEL, "news", "ham"]  # the smallest class has no hold-out
    counts = {
        label: (m["false_positives"], m["messages"]) for label, m in list(metrics.items())[2:]
    }
    assert counts == {"news": (0, 2), "ham": (2, 3)}


def test_classes_may_be_named_as_columns_and_figures_are(folder: Path) -> None:
    splits = three_splits(COLLIDING)
    write_evaluation("gpt2", MODEL, splits, COLLIDING, SETTINGS, NO_CAMPAIGNS)
    metrics = read_json(folder / "metrics/gpt2.json")
    assert metrics["weights"] == "tiny"
    messages, probabilities = splits["test"]
    read, read_probabilities = read_predictions(
        folder / "data/predictions/gpt2/test.csv", COLLIDING
    )
    assert read.to_dict("list") == messages.to_dict("list")
    assert np.array_equal(read_probabilities.astype(np.float32), probabilities)
    assert "</script" not in (folder / "plots/gpt2/confusion_test.csv").read_text(encoding="utf-8")
    guesses = [("weights", "total")] * 3 + [("total", "total")] * 2
    write_holdout_evaluation(MODEL, holdout(*guesses, labels=COLLIDING), COLLIDING, SETTINGS)
    metrics = read_json(folder / "metrics/holdout.json")
    assert metrics["weights"] == "tiny"
    assert list(metrics) == [*MODEL, "total", "weights (class)"]
    assert metrics["weights (class)"]["false_positives"] == 3


def test_an_empty_holdout_leaves_files_without_figures(folder: Path) -> None:
    labels = CLASSES["two"]
    write_holdout_evaluation(MODEL, holdout(labels=labels), labels, SETTINGS)
    assert read_json(folder / "metrics/holdout.json") == MODEL
    header = (folder / "data/predictions/holdout.csv").read_text(encoding="utf-8")
    names = next(csv.reader([header]))
    assert names == ["line", "label", "predicted", "probability_ham", "probability_spam", "text"]


# Tables.


def test_a_table_of_predictions_leaves_the_messages_as_they_are() -> None:
    messages, probabilities = predicted(CLASSES["three"], 10, seed=4)
    before = messages.copy()
    table = predictions_table(messages, probabilities, CLASSES["three"])
    pd.testing.assert_frame_equal(messages, before)
    assert table.index.tolist() == list(range(13))


def test_predictions_that_are_missing_or_of_other_labels_are_named(
    evaluation: Evaluation, tmp_path: Path
) -> None:
    missing = tmp_path / "test.csv"
    with pytest.raises(InputError) as caught:
        read_predictions(missing, evaluation.labels)
    assert str(caught.value) == f"{missing}: no such file; `dvc repro` makes it"
    path = evaluation.folder / "data/predictions/gpt2/test.csv"
    with pytest.raises(InputError) as caught:
        read_predictions(path, ["ham", "eggs"])
    assert str(caught.value) == f"{path}: no predictions for ham, eggs; run `dvc repro`"


def test_log_odds_survive_the_file(folder: Path) -> None:
    """Where decimals would round one probability to 0 and the other to 1."""
    probabilities = np.array([[1 - 1.23456789e-12, 1.23456789e-12], [2.5e-300, 1.0]])
    messages = pd.DataFrame({"line": [1, 2], "label": ["ham", "spam"], "text": ["a", "b"]})
    write_holdout_evaluation(MODEL, (messages, probabilities), ["ham", "spam"], SETTINGS)
    _, found = read_predictions(folder / "data/predictions/holdout.csv", ["ham", "spam"])
    expected = np.log(probabilities[:, 1]) - np.log(probabilities[:, 0])
    np.testing.assert_allclose(np.log(found[:, 1]) - np.log(found[:, 0]), expected, rtol=1e-9)


def test_empty_predictions_are_read_back(folder: Path) -> None:
    labels = CLASSES["two"]
    write_holdout_evaluation(MODEL, holdout(labels=labels), labels, SETTINGS)
    messages, found = read_predictions(folder / "data/predictions/holdout.csv", labels)
    assert found.shape == (0, 2)
    assert label_ids(messages, labels).shape == (0,)

"""The published table comes out to whole messages, and ours stands in its place among it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT

from spam_gpt2.data.messages import read_messages
from spam_gpt2.data.splits import split_messages
from spam_gpt2.evaluation.cross_validation import fold_figures
from spam_gpt2.experiments.field_table import measured, write_field_table
from spam_gpt2.experiments.results_table import Row
from spam_gpt2.experiments.runner import Results
from spam_gpt2.experiments.spec import Experiment, FieldRow, load_experiments

SHARED_PATH = ROOT.parent / "shared/data/sms/SMSSpamCollection"
HAM, SPAM = 3391, 509  # among the last 3,900 messages of the collection


@pytest.fixture(scope="module")
def almeida() -> Experiment:
    return load_experiments(ROOT / "experiments.yaml", ROOT / "params.yaml")["almeida_2011"]


def nearest(row: FieldRow) -> np.ndarray:
    """The counts of whole messages that the published shares are."""
    caught, blocked = round(row.spam_caught * SPAM / 100), round(row.blocked_ham * HAM / 100)
    return np.array([[HAM - blocked, blocked], [SPAM - caught, caught]])


def test_every_published_row_is_whole_messages_of_this_test_set(almeida: Experiment) -> None:
    rows = almeida.beside.rows
    assert len(rows) == 6
    for name, row in rows.items():
        found = fold_figures(nearest(row))
        assert 100 * found["recall"] == pytest.approx(row.spam_caught, abs=0.0051), name
        assert 100 * found["false_positive_rate"] == pytest.approx(row.blocked_ham, abs=0.0051)
        assert 100 * found["accuracy"] == pytest.approx(row.accuracy, abs=0.015), name
        assert found["mcc"] == pytest.approx(row.mcc, abs=0.00051), name


@pytest.mark.skipif(not SHARED_PATH.is_file(), reason=f"no {SHARED_PATH}")
def test_the_split_is_the_papers(almeida: Experiment) -> None:
    choices = {key.removeprefix("prepare."): v for key, v in almeida.overrides.items()}
    messages = read_messages(SHARED_PATH, None)
    made = split_messages(messages, seed=123, **choices)
    assert (len(made.train), len(made.validation), len(made.test)) == (1504, 170, 3900)
    in_order = [*made.train["line"], *made.validation["line"], *made.test["line"]]
    assert in_order == sorted(messages["line"])
    assert made.holdout.empty
    counts = made.test["label"].value_counts()
    assert (counts["ham"], counts["spam"]) == (HAM, SPAM)


def test_measures_by_hand() -> None:
    row = measured({"confusion": {"test": [[90, 10], [2, 8]]}})
    assert row.spam_caught == pytest.approx(80)
    assert row.blocked_ham == pytest.approx(10)
    assert row.accuracy == pytest.approx(100 * 98 / 110)
    assert row.mcc == pytest.approx((90 * 8 - 10 * 2) / (18 * 10 * 100 * 92) ** 0.5)


def test_ours_stands_among_the_published_rows_by_its_mcc(
    almeida: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    best, poor = [[3390, 1], [50, 459]], [[3391, 0], [300, 209]]
    results = Results(
        {"weights": "gpt2-124M", "confusion": {"test": best}}, {},
        baseline={"model": "TF-IDF", "confusion": {"test": poor}},
    )  # fmt: skip
    text = write_field_table(Row(almeida, results, None, "abc1234"))
    assert Path("reports/almeida_2011.md").read_text() == text
    names = [line.split(" | ")[0] for line in text.splitlines() if line.startswith("| ")][2:]
    assert names[0] == "| **gpt2-124M, here**"
    assert names[1] == "| SVM + tok1"
    assert names[-2:] == ["| **TF-IDF, here**", "| Boolean NB + tok1"]
    assert "3,900 test messages, 509 of them spam" in text
    assert "| **gpt2-124M, here** | 90.18 | 0.03 | 98.69 |" in text
    assert "Table 7" in text

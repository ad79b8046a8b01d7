"""The table at the end of `make repro` says what the metrics files say, and of which weights."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from spam_gpt2.reporting.summary import holdout, main, results

FIGURES = ["accuracy", "precision", "recall", "f1", "roc_auc", "loss"]
TABLE = """\
test set    gpt2-124M                   TF-IDF + logistic regression
accuracy    0.100  [0.050, 0.150]       0.110  [0.060, 0.160]
precision   0.200  [0.150, 0.250]       0.210  [0.160, 0.260]
recall      0.300  [0.250, 0.350]       0.310  [0.260, 0.360]
f1          0.400  [0.350, 0.450]       0.410  [0.360, 0.460]
roc_auc     0.500  [0.450, 0.550]       0.510  [0.460, 0.560]
loss        0.600  [0.550, 0.650]       0.610  [0.560, 0.660]
"""


def evaluation(start: float) -> dict[str, Any]:
    """Figures of a test set: `start`, then 0.1 more each, and 0.05 around them."""
    figures = {name: round(start + i / 10, 2) for i, name in enumerate(FIGURES)}
    intervals = {name: [round(v - 0.05, 2), round(v + 0.05, 2)] for name, v in figures.items()}
    other = dict.fromkeys(FIGURES, 0.99)
    return {"train": other, "validation": other, "test": figures, "test_intervals": intervals}


def write_metrics(root: Path, name: str, metrics: dict[str, Any]) -> None:
    path = root / "metrics" / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(metrics))


def write_results(root: Path, weights: str) -> None:
    write_metrics(root, "gpt2", {"weights": weights, "weights_sha256": "0", **evaluation(0.1)})
    write_metrics(root, "baseline", {"model": "TF-IDF", **evaluation(0.11)})


def rate(messages: int, wrong: int) -> dict[str, Any]:
    share = round(wrong / messages, 6)
    return {"messages": messages, "false_positives": wrong, "false_positive_rate": share}


def test_the_table_has_the_test_figures_of_both_models(tmp_path: Path) -> None:
    write_results(tmp_path, "gpt2-124M")
    assert f"\n{TABLE}" in results(tmp_path)


@pytest.mark.parametrize("weights", ["gpt2-1558M", "unverified-124M", "random (unverified-1558M)"])
def test_columns_stand_below_each_other_whatever_the_weights_are_called(
    tmp_path: Path, weights: str
) -> None:
    write_results(tmp_path, weights)
    head, *rows = results(tmp_path).strip().splitlines()[: 1 + len(FIGURES)]
    left, right = head.index(weights), head.index("TF-IDF")
    assert head[left + len(weights) : right].strip() == ""
    assert right >= left + len(weights) + 2
    for row in rows:
        assert row[left - 1] == row[right - 1] == " "
        assert row[left : left + 2] == row[right : right + 2] == "0."


@pytest.mark.parametrize("weights", ["gpt2-mini", "random (gpt2-mini)"])
def test_the_stand_in_is_named_with_the_way_to_the_real_weights(
    tmp_path: Path, weights: str
) -> None:
    write_results(tmp_path, weights)
    text = results(tmp_path)
    assert "These weights are gpt2-mini, the small stand-in" in text
    assert "its figures say nothing about GPT-2." in text
    assert "dvc repro --force fetch_gpt2 && dvc repro" in text


def test_real_weights_are_not_called_a_stand_in(tmp_path: Path) -> None:
    write_results(tmp_path, "gpt2-124M")
    assert "stand-in" not in results(tmp_path)
    assert "gpt2-mini" not in results(tmp_path)


def test_the_holdout_is_a_line_a_class(tmp_path: Path) -> None:
    weights = {"weights": "gpt2-mini", "weights_sha256": "0"}
    write_metrics(tmp_path, "holdout", {**weights, "ham": rate(4080, 227)})
    line = "hold-out: 227 of 4080 ham messages are taken for something else (5.6%)"
    assert holdout(tmp_path) == line
    write_metrics(tmp_path, "holdout", {**weights, "ham": rate(4080, 227), "news": rate(8, 0)})
    second = "hold-out: 0 of 8 news messages are taken for something else (0.0%)"
    assert holdout(tmp_path) == f"{line}\n{second}"


def test_a_holdout_without_messages_says_so(tmp_path: Path) -> None:
    write_metrics(tmp_path, "holdout", {"weights": "gpt2-mini", "weights_sha256": "0"})
    assert holdout(tmp_path) == "hold-out: no messages were left over"


@pytest.mark.parametrize(
    ("args", "function"), [([], results), (["--holdout"], holdout)], ids=["table", "hold-out"]
)
def test_the_command_prints_what_was_asked_for(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    args: list[str],
    function: Any,
) -> None:
    write_results(tmp_path, "gpt2-124M")
    write_metrics(tmp_path, "holdout", {"weights": "gpt2-124M", "ham": rate(10, 1)})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["summary", *args])
    main()
    assert capsys.readouterr().out == function(tmp_path) + "\n"


@pytest.mark.parametrize(
    ("args", "missing"), [([], "metrics/gpt2.json"), (["--holdout"], "metrics/holdout.json")]
)
def test_before_the_pipeline_has_run_one_line_says_so(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    args: list[str],
    missing: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["summary", *args])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 1
    assert capsys.readouterr().err == f"error: {missing}: no such file; `dvc repro` makes it\n"

"""What cross-validation says of a named experiment, beside that of params.yaml as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from spam_gpt2.common.files import read_json, write_text
from spam_gpt2.common.markdown import table
from spam_gpt2.evaluation.cross_validation import NAMES, comparison, same_folds, verdict

METRICS_PATH = Path("metrics/cross_validation.json")
FOLDER = Path("reports")
CONFIDENCE = 0.95
Metrics = dict[str, Any]


def write_fold_table(name: str, metrics: Metrics) -> str:
    """Write `reports/cross_validation_<name>.md`; returns the text.

    Beside it stand the figures of `metrics/cross_validation.json` where they are of the same folds.

    Args:
        metrics: what the experiment left in that file.
    """
    base = read_json(METRICS_PATH) if METRICS_PATH.is_file() else {}
    text = fold_table(name, metrics, base if same_folds(base, metrics) else None)
    write_text(FOLDER / f"cross_validation_{name}.md", text)
    return text


def fold_table(name: str, metrics: Metrics, base: Metrics | None) -> str:
    """Figures of GPT-2 by fold, and whether the experiment differs from the base; in Markdown."""
    count, tested = len(metrics["gpt2"]["folds"]), metrics["tested"]
    title = f"# {name}: {count} folds of {tested:,} messages, weights {metrics['weights']}"
    sentences, header = [metrics["summary"]], ["mean: per cent, and MCC", name, "interval"]
    found: Metrics = {}
    if base:
        found = comparison(metrics["gpt2"], base["gpt2"], metrics["test_share"], CONFIDENCE)
        sentences.insert(0, verdict(found, name, "params.yaml as it is", CONFIDENCE))
        header += ["params.yaml", "difference", "its interval", "p"]
    else:
        sentences.append("`make cv` first, and the same folds of params.yaml stand beside it.")
    rows = []
    for figure in (figure for figure in NAMES if figure in metrics["gpt2"]):
        it = metrics["gpt2"][figure]
        row = [NAMES[figure], _number(figure, it["mean"]), _bounds(figure, it["interval"])]
        if base:
            between = found[figure]
            row += [_number(figure, base["gpt2"][figure]["mean"])]
            row += [
                _number(figure, between["mean"], "+"),
                _bounds(figure, between["interval"], "+"),
            ]
            row += [f"{between['p_value']:.2g}"]
        rows.append(row)
    return "\n\n".join([title, *sentences, table(header, rows)]) + "\n"


def _number(figure: str, value: float, sign: str = "") -> str:
    """A share in per cent; a correlation is none."""
    return f"{value:{sign}.3f}" if figure == "mcc" else f"{100 * value:{sign}.2f}"


def _bounds(figure: str, bounds: list[float], sign: str = "") -> str:
    return " to ".join(_number(figure, bound, sign) for bound in bounds)

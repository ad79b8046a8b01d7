"""An experiment's test figures beside a published table, in the measures of the field."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from spam_gpt2.common.files import write_text
from spam_gpt2.common.markdown import table
from spam_gpt2.evaluation.cross_validation import fold_figures
from spam_gpt2.experiments.results_table import Row
from spam_gpt2.experiments.spec import FieldRow

FOLDER = Path("reports")
HEADER = ["classifier", "spam caught (SC %)", "blocked ham (BH %)", "accuracy %", "MCC"]


def write_field_table(row: Row) -> str:
    """Write `reports/<experiment>.md`, its figures in bold, the best MCC first; returns the text.

    Args:
        row: of an experiment with a published table, of two classes, the last of them spam.
    """
    published = row.experiment.beside
    results = {row.results.gpt2["weights"]: row.results.gpt2}
    if row.results.baseline:
        results[row.results.baseline["model"]] = row.results.baseline
    rows = list(published.rows.items())
    rows += [(f"**{name}, here**", measured(it)) for name, it in results.items()]
    rows.sort(key=lambda pair: -pair[1].mcc)
    cells = [[name, *_cells(it)] for name, it in rows]
    about = row.experiment.about
    counts = np.array(row.results.gpt2["confusion"]["test"])
    note = (
        f"{about[:1].upper()}{about[1:]}. {counts.sum():,} test messages, {counts[1].sum():,} of "
        f"them spam. The other rows: {published.source}"
    )
    text = f"# {row.experiment.name}\n\n{note}\n\n{table(HEADER, cells)}\n"
    write_text(FOLDER / f"{row.experiment.name}.md", text)
    return text


def measured(metrics: dict[str, Any]) -> FieldRow:
    """The measures of the field, from the test set's counts in a metrics file."""
    figures = fold_figures(np.array(metrics["confusion"]["test"]))
    return FieldRow(
        spam_caught=100 * figures["recall"],
        blocked_ham=100 * figures["false_positive_rate"],
        accuracy=100 * figures["accuracy"],
        mcc=figures["mcc"],
    )


def _cells(it: FieldRow) -> list[str]:
    shares = (it.spam_caught, it.blocked_ham, it.accuracy)
    return [*(f"{share:.2f}" for share in shares), f"{it.mcc:.3f}"]

"""The curves of a training, as tables and as pictures."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from spam_gpt2.common.files import write_csv
from spam_gpt2.figures.charts import save_curves

Points = list[dict[str, float]]  # rows: the x axis, and a figure of train and of validation


def save_training_curves(out_dir: Path, steps: Points, epochs: Points) -> None:
    """Loss by step and accuracy by epoch, each as CSV and as a picture."""
    for name, points, x in (("loss", steps, "step"), ("accuracy", epochs, "epoch")):
        table = pd.DataFrame(points)
        write_csv(out_dir / f"{name}.csv", table)
        lines = {
            split: (table[x].to_numpy(), table[f"{split}_{name}"].to_numpy())
            for split in ("train", "validation")
        }
        title = f"{name.capitalize()} of the classifier by {x}"
        save_curves(out_dir / f"{name}.png", lines, title=title, x=x, y=name)

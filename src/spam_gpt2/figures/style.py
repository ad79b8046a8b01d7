"""How every picture looks and is written: the same bytes for the same figures."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt

from spam_gpt2.common.files import whole_file

matplotlib.rcParams["text.parse_math"] = False  # a label's dollar signs are no formula


def save(figure: plt.Figure, path: Path) -> None:
    """Write a picture as PNG, whole or not at all, and free its memory."""
    figure.tight_layout()
    with whole_file(path) as beside_path:
        figure.savefig(beside_path, format="png", dpi=110, metadata={"Software": None})
    plt.close(figure)

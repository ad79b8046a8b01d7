"""Every picture has one sentence on what to see."""

from __future__ import annotations

import re

from conftest import ROOT

from spam_gpt2.figures.captions import CAPTIONS

WRITTEN = {
    *("gpt2/roc", "gpt2/precision_recall", "baseline/roc", "baseline/precision_recall"),
    *(
        f"{model}/confusion_{split}{ending}"
        for model in ("gpt2", "baseline")
        for split in ("train", "validation", "test")
        for ending in ("", "_normalized")
    ),
    "finetune/loss", "finetune/accuracy", "experiments", "seeds",
}  # fmt: skip


def test_every_picture_that_a_stage_writes_has_its_sentence() -> None:
    """The pictures of stages/*.py are found by the names in their text."""
    found = set(WRITTEN)
    for path in (ROOT / "stages").glob("*.py"):
        text = path.read_text(encoding="utf-8")
        for folder in re.findall(r'PLOTS_DIR = Path\("plots/(\w+)"\)', text):
            found |= {f"{folder}/{name}" for name in re.findall(r'PLOTS_DIR / "(\w+)\.png"', text)}
    assert found | {"compare/roc", "compare/precision_recall"} == set(CAPTIONS)


def test_each_is_one_sentence_that_fits_below_a_picture() -> None:
    for name, sentence in CAPTIONS.items():
        assert re.fullmatch(r"[A-Z][^.]+\.", sentence), name
        assert len(sentence) < 200, name

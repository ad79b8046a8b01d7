"""What `dvc plots show` draws: the templates of .dvc/plots, filled by DVC and drawn by Vega."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import vl_convert
import yaml
from conftest import ROOT
from dvc_render.vega import VegaRenderer

from spam_gpt2.figures.confusion import confusion_title

TEMPLATES = ROOT / ".dvc/plots"
PLOTS = yaml.safe_load((ROOT / "plots/dvc.yaml").read_text(encoding="utf-8"))["plots"]
ENTRIES = {name: s for e in PLOTS if isinstance(e, dict) for name, s in e.items()}
PAIRS = [("ham", "ham")] * 90 + [("ham", "spam")] * 10 + [("spam", "spam")] * 1095
TEXT = re.compile(r'<text[^>]*transform="translate\(([-\d.]+),([-\d.]+)\)[^>]*>([^<]*)</text>')


def spec(template: str, points: list[dict[str, Any]], **settings: Any) -> dict[str, Any]:
    """A template as DVC fills it, from points whose values are text, as those of a CSV are."""
    points = [{k: str(v) for k, v in point.items()} | {"rev": "workspace"} for point in points]
    renderer = VegaRenderer(
        points, "plot", template=template, template_dir=str(TEMPLATES), **settings
    )
    return renderer.get_filled_template()


def texts(filled: dict[str, Any]) -> list[tuple[float, float, str]]:
    """Texts of the drawn picture with the places that they have within their groups."""
    svg = vl_convert.vegalite_to_svg(json.dumps(filled))
    return [(float(x), float(y), text) for x, y, text in TEXT.findall(svg)]


def matrix(kind: str) -> list[tuple[float, float, str]]:
    points = [{"actual": actual, "predicted": predicted} for actual, predicted in PAIRS]
    axes = {"x": "predicted", "y": "actual", "x_label": "predicted class", "y_label": "true class"}
    return texts(spec(f"confusion_{kind}", points, title="t", **axes))


@pytest.mark.parametrize(
    ("kind", "numbers"),
    [
        ("counts", ["90", "10", "0", "1,095"]),
        ("normalised", ["90.0%", "10.0%", "0.0%", "100.0%"]),
    ],
)
def test_every_cell_of_a_matrix_has_its_number_and_rows_are_true(
    kind: str, numbers: list[str]
) -> None:
    found = matrix(kind)
    cells = {text: (x, y) for x, y, text in found if text in numbers}
    assert sorted(cells) == sorted(numbers)
    from_the_top = sorted(cells, key=lambda text: (cells[text][1], cells[text][0]))
    assert from_the_top == numbers
    words = [text for _, _, text in found]
    assert {"predicted class", "true class", "ham", "spam"} <= set(words)


def test_a_class_that_is_never_predicted_has_its_column() -> None:
    points = [{"actual": actual, "predicted": "ham"} for actual in ("ham", "spam")]
    filled = spec("confusion_counts", points, x="predicted", y="actual", title="t")
    assert [text for _, _, text in texts(filled)].count("spam") == 2


@pytest.mark.parametrize("name", [name for name in ENTRIES if name.startswith("Confusion")])
def test_matrices_lie_and_are_called_as_in_the_pictures(name: str) -> None:
    entry = ENTRIES[name]
    [(path, field)] = entry["y"].items()
    assert (field, entry["x"]) == ("actual", "predicted")
    assert (entry["x_label"], entry["y_label"]) == ("predicted class", "true class")
    model = {"gpt2": "classifier", "baseline": "baseline"}[Path(path).parent.name]
    split = Path(path).stem.removeprefix("confusion_")
    is_share = entry["template"] == "confusion_normalised"
    assert name == confusion_title(model, split, normalized=is_share)


CURVE = [
    {
        "false_positive_rate": x,
        "true_positive_rate": y,
        "recall": x,
        "precision": y,
        "class": "spam",
    }
    for x, y in ((0, 0.5), (0.5, 0.75), (1, 1))
]


@pytest.mark.parametrize(
    ("template", "x", "y"),
    [
        ("roc", "false_positive_rate", "true_positive_rate"),
        ("precision_recall", "recall", "precision"),
    ],
)
def test_curves_of_both_models_bear_their_names(template: str, x: str, y: str) -> None:
    points = [
        point | {"filename": f"{folder}/{template}.csv", "field": y}
        for folder in ("gpt2", "baseline")
        for point in CURVE
    ]
    filled = spec(template, points, x=x, y=y, title="t")
    words = {text for _, _, text in texts(filled)}
    assert {"classifier", "baseline"} <= words
    assert not any("gpt2" in word for word in words)


def test_the_other_templates_draw_what_their_files_hold() -> None:
    bins = [
        {"probability": p, "share": p, "low": 0, "high": 1, "messages": n, "filename": file}
        for file, n in (("calibrate/unscaled.csv", 123), ("calibrate/scaled.csv", 77))
        for p in (0.25, 0.75)
    ]
    words = [text for *_, text in texts(spec("reliability", bins, x="probability", y="share"))]
    assert words.count("123") == words.count("77") == 2
    assert {"scaled", "unscaled"} <= {*words}
    runs = [
        {"messages": m, "accuracy": a, "field": field}
        for field in ("gpt2", "baseline")
        for m, a in ((32, 0.5), (32, 0.7), (64, 0.9))
    ]
    for template in ("spread", "lines"):
        filled = spec(template, runs, x="messages", y="accuracy")
        assert {"classifier", "baseline"} <= {text for *_, text in texts(filled)}
    writings = [
        {"writing": "upper_case", "accuracy": a, "filename": f"robustness/{name}.csv"}
        for name, a in (("gpt2", 0.25), ("baseline", 0.875))
    ]
    words = {text for *_, text in texts(spec("bars", writings, x="accuracy", y="writing"))}
    assert {"0.250", "0.875", "upper case", "classifier", "baseline"} <= words


def test_every_entry_names_a_template_of_ours() -> None:
    used = {entry["template"] for entry in ENTRIES.values()}
    assert used == {path.stem for path in TEMPLATES.glob("*.json")}

"""The report: one page with everything inside, which opens without internet."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from spam_gpt2.common.nested import class_keys
from spam_gpt2.common.text import visible
from spam_gpt2.reporting.summary import FIGURES, STAND_IN

TEMPLATE = "report.html.j2"
LEAKY = ("book", "leaky")  # experiments with texts in two splits: the published recipe and ours


def render_report(context: Mapping[str, Any], pictures: Mapping[str, bytes]) -> str:
    """The page as HTML; whatever comes from messages is escaped.

    Args:
        context: what the metrics files and the other results hold, by the file's name without its
            ending; the template says which.
        pictures: PNG files by name, e.g. `gpt2/confusion_test`.

    Raises: jinja2.UndefinedError when something that the template shows is not there.
    """
    environment = Environment(
        loader=PackageLoader("spam_gpt2.reporting", "."),
        autoescape=True,
        finalize=_visible,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, "interval": interval, "fixed": fixed, "tint": tint}
    environment.globals["class_keys"] = class_keys
    environment.globals["picture"] = lambda name, about: _picture(pictures[name], about)
    context = {**context, "figures": FIGURES, "is_stand_in": STAND_IN in context["gpt2"]["weights"]}
    return environment.get_template(TEMPLATE).render(context)


def _visible(value: Any) -> Any:
    """What a message holds and nobody would see, or would see other things for."""
    is_text = isinstance(value, str) and not hasattr(value, "__html__")
    return visible(value, keep="\t\n\r") if is_text else value


def leak(experiments: list[dict[str, str]]) -> list[dict[str, Any]]:
    """Of the leaky experiments, the accuracy on all test messages and on those not seen before.

    Args:
        experiments: rows of the table that `make experiments` writes, in per cent.
    """
    return [
        {
            "experiment": row["experiment"],
            "test": float(row["test %"]),
            "unseen": float(row["unseen test %"]),
        }
        for row in experiments
        if row["experiment"] in LEAKY and row.get("unseen test %")  # which an older table lacks
    ]


def percent(share: float) -> str:
    """0.9537 as `95.4 %`."""
    return f"{100 * share:.1f} %"


def fixed(cell: str, decimals: int) -> str:
    """A number from CSV with as many decimals as all of its column; an empty cell stays so."""
    return f"{float(cell):.{decimals}f}" if cell else ""


def interval(bounds: list[float]) -> str:
    """Lower and upper bound of a share, in per cent."""
    low, high = bounds
    return f"{100 * low:.1f} to {100 * high:.1f} %"


def tint(score: float, tokens: list[dict[str, Any]]) -> str:
    """Background of a token: the stronger it drove the decision, the deeper the colour."""
    strongest = max(abs(token["score"]) for token in tokens) or 1.0
    colour = "220, 60, 40" if score > 0 else "40, 110, 220"
    return f"rgba({colour}, {abs(score) / strongest * 0.6:.2f})"


def _picture(png: bytes, about: str) -> Markup:
    data = base64.b64encode(png).decode("ascii")
    return Markup('<img src="data:image/png;base64,{}" alt="{}">').format(Markup(data), about)


def read_pictures(root: Path, names: list[str]) -> dict[str, bytes]:
    """PNG files below a folder, by their path without ending."""
    return {name: (root / f"{name}.png").read_bytes() for name in names}

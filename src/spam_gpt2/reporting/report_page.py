"""The report: one page with everything inside, which opens without internet."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from spam_gpt2.common.nested import class_keys
from spam_gpt2.common.project import COLLECTION_PATH
from spam_gpt2.common.secrets import without_secrets
from spam_gpt2.common.text import visible
from spam_gpt2.figures.captions import CAPTIONS
from spam_gpt2.reporting.decision import basis, lead, threshold_worth
from spam_gpt2.reporting.fold_words import advice, fold_rows
from spam_gpt2.reporting.numbers import decimals, interval, percent, points
from spam_gpt2.reporting.summary import FIGURES, STAND_IN
from spam_gpt2.reporting.words import words

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
    environment.filters |= {
        "percent": percent,
        "interval": interval,
        "decimals": decimals,
        "fixed": fixed,
        "points": points,
        "tint": tint,
    }
    environment.globals["class_keys"] = class_keys
    environment.globals["picture"] = lambda name: _picture(pictures[name], CAPTIONS[name])
    return environment.get_template(TEMPLATE).render(
        {
            **context,
            **_decision(context),
            "figures": FIGURES,
            "fold_rows": fold_rows,
            "advice": advice,
            "is_stand_in": STAND_IN in context["gpt2"]["weights"],
            "pictures": pictures,
        }
    )


def _decision(context: Mapping[str, Any]) -> dict[str, Any]:
    """The sentences that the page leads with, and what the threshold is worth."""
    calibration, params = context["calibration"], context["params"]
    named = words(calibration["labels"], params)
    return {
        "words": named,
        "lead": lead(calibration, named, html),
        "basis": basis(calibration, context["data"], params, html),
        "threshold_worth": threshold_worth(calibration, params, html)
        if "threshold" in calibration
        else None,
    }


def html(template: str, **parts: str) -> Markup:
    """A template with its parts, which are no markup whatever they hold."""
    strong = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", template)
    return Markup(strong).format(**{name: visible(part) for name, part in parts.items()})


def _visible(value: Any) -> Any:
    """What a message holds and nobody would see, or would see other things for."""
    is_text = isinstance(value, str) and not hasattr(value, "__html__")
    return visible(value, keep="\t\n\r") if is_text else value


def of_these_messages(
    experiments: list[dict[str, str]], params: Mapping[str, Any]
) -> list[dict[str, str]]:
    """Experiments that were run on the messages of `prepare.path`.

    Args:
        experiments: rows of the table that `make experiments` writes; an earlier version's, which
            do not name their messages, are of the SMS Spam Collection.
    """
    path = without_secrets(params["prepare"]["path"])
    return [row for row in experiments if row.get("messages", COLLECTION_PATH) == path]


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


def fixed(cell: str, decimals: int) -> str:
    """A number from CSV with as many decimals as all of its column; an empty cell stays so."""
    return f"{float(cell):.{decimals}f}" if cell else ""


def tint(score: float, tokens: list[dict[str, Any]]) -> str:
    """Background of a token: the stronger it drove the decision, the deeper the colour."""
    strongest = max(abs(token["score"]) for token in tokens) or 1.0
    colour = "220, 60, 40" if score > 0 else "40, 110, 220"
    return f"rgba({colour}, {abs(score) / strongest * 0.6:.2f})"


def _picture(png: bytes, caption: str) -> Markup:
    """With the sentence that says what to see in it."""
    data = base64.b64encode(png).decode("ascii")
    return Markup(
        '<figure><img src="data:image/png;base64,{}" alt=""><figcaption>{}</figcaption></figure>'
    ).format(Markup(data), caption)


def read_pictures(root: Path, names: list[str]) -> dict[str, bytes]:
    """PNG files below a folder, by their path without ending."""
    return {name: (root / f"{name}.png").read_bytes() for name in names}

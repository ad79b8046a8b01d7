"""What the classifier does where it is used: so many found, so many mistaken, of 1,000 messages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from spam_gpt2.reporting.numbers import count, count_range, interval, percent
from spam_gpt2.reporting.words import Words

# A template with its parts: `str.format`, or one that escapes them.
Form = Callable[..., str]


def lead(calibration: dict[str, Any], words: Words, form: Form) -> list[str]:
    """The decision in sentences, the first of which stand for themselves.

    Args:
        calibration: what `metrics/calibration.json` holds.
        form: called with a template and its parts. In a template, `**` is around what is strong.
    """
    of_classes, labels = calibration["decision"], calibration["labels"]
    if len(labels) > 2:
        return [_of_class(label, of_classes[label], form) for label in labels]
    negative, positive = (of_classes[label] for label in labels)
    found = positive["messages"] - positive["wrong"]
    bounds = [positive["messages"] - bound for bound in reversed(positive["interval"])]
    return [
        form(
            "At the threshold {threshold}, of 1,000 messages with {share} {positive} among them, "
            "**{caught} {positive} are {found}** ({caught_range}) and **{wrong} {negative} are "
            "{mistaken}** ({wrong_range}).",
            threshold=str(calibration["threshold"]["value"]),
            share=count(positive["messages"]),
            positive=labels[1],
            negative=labels[0],
            found=words.found,
            mistaken=words.mistaken,
            caught=count(found),
            caught_range=count_range(bounds),
            wrong=count(negative["wrong"]),
            wrong_range=count_range(negative["interval"]),
        )
    ]


def _of_class(label: str, figures: dict[str, Any], form: Form) -> str:
    bounds = [figures["messages"] - bound for bound in reversed(figures["interval"])]
    return form(
        "Of {messages} {label}, **{right} are recognised** ({right_range}); the others are taken "
        "for another class.",
        label=label,
        messages=count(figures["messages"]),
        right=count(figures["messages"] - figures["wrong"]),
        right_range=count_range(bounds),
    )


def basis(
    calibration: dict[str, Any], data: dict[str, Any], params: dict[str, Any], form: Form
) -> str:
    """What the decision rests on: whose shares, and how many messages."""
    of_classes = calibration["decision"]
    counts = [f"{of_classes[label]['seen']:,} {label}" for label in calibration["labels"]]
    given = params["calibrate"]["positive_share"]
    shares = "The share of each class is that of the messages that were read"
    if len(counts) == 2:
        label = calibration["labels"][1]
        share = percent(of_classes[label]["messages"] / 1000)
        shares = f"{share} {label} is the share in the messages that were read"
        shares += "; calibrate.positive_share sets that of yours"
        if given is not None:
            shares = f"{share} {label} is what calibrate.positive_share says"
    repeated = sum(data["also_in_train"].get(split, 0) for split in ("test", "holdout"))
    text = (
        f"In brackets: {100 * params['evaluate']['confidence']:g} % intervals, from {{counts}} of "
        "test and hold-out, on which nothing was trained or chosen"
    )
    text += f" ({repeated:,} of them repeat a training message)" * bool(repeated)
    return form(text + ". {shares}.", counts=listed(counts), shares=shares)


def listed(names: list[str]) -> str:
    """`a, b and c`."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def threshold_worth(calibration: dict[str, Any], params: dict[str, Any], form: Form) -> str:
    """How the threshold was chosen, and how little the messages say that it was chosen on."""
    chosen, negative = calibration["threshold"], calibration["labels"][0]
    high = calibration["at_threshold"]["validation"]["intervals"]["false_positive_rate"]
    target, needed = params["calibrate"]["false_positive_rate"], chosen["negatives_needed"]
    figures = calibration["decision"][negative]
    share = figures["messages"] or 1
    text = (
        "It is the lowest that at most {target} of the validation's {negative} are above. There "
        "are only {negatives} of these, and {allowed} of them may be above it. **So few say "
        "little**: by them alone, the rate may be anything from {range}"
    )
    text += "; to show {target} takes {needed}, none of them above." * (needed is not None)
    text += "." * (needed is None)
    text += " On the {seen} {negative} of test and hold-out it is **{rate}** ({rate_range})."
    bounds = [bound / share for bound in figures["interval"]]
    text += " **That is more than the {target} asked for.**" * (bounds[0] > target)
    return form(
        text,
        target=percent(target),
        negative=negative,
        negatives=f"{chosen['negatives']:,}",
        allowed=f"{chosen['allowed']:,}" if chosen["allowed"] else "none",
        range=interval(high),
        needed=f"{needed:,}" if needed else "",
        seen=f"{figures['seen']:,}",
        rate=percent(figures["seen_wrong"] / figures["seen"]),
        rate_range=interval(bounds),
    )

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
    found, bounds = positive["messages"] - positive["wrong"], positive["interval"]
    bounds = [positive["messages"] - bound for bound in reversed(bounds)]
    unsure = ""
    if "unsure" in positive:
        found, bounds = positive["right"], positive["right_interval"]
        unsure = "; **{unsure} messages are left unsure**"
    return [
        form(
            "At the threshold {threshold}, of 1,000 messages with {share} {positive} among them, "
            "**{caught} {positive} are {found}** ({caught_range}) and **{wrong} {negative} are "
            f"{{mistaken}}** ({{wrong_range}}){unsure}.",
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
            unsure=count(sum(of_class.get("unsure", 0) for of_class in (negative, positive))),
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
    given = params["calibrate"]["prevalence"]
    source = "the training set" if given is None else "the messages that were read"
    shares = f"The share of each class is that of {source}"
    if len(counts) == 2:
        label = calibration["labels"][1]
        share = percent(of_classes[label]["messages"] / 1000)
        shares = (
            f"{share} {label} is the share in {source}; calibrate.prevalence sets that of yours"
        )
        if isinstance(given, float):
            shares = f"{share} {label} is what calibrate.prevalence says"
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
    """How the threshold was chosen, and what that is worth."""
    by_costs = params["calibrate"]["costs"] is not None
    return (_worth_of_costs if by_costs else _worth_of_rate)(calibration, params, form)


def _worth_of_costs(calibration: dict[str, Any], params: dict[str, Any], form: Form) -> str:
    """What 1,000 messages cost, and what they would without the decision."""
    given, cost, chosen = (
        params["calibrate"], calibration["expected_cost"], calibration["threshold"]
    )  # fmt: skip
    text = "From {unsure_from} on up to that, it is left unsure, which costs {asked}. "
    text = text * ("unsure_from" in chosen) + (
        "This costs least when a missed {positive} costs {missed} and a {negative} taken for "
        "{positive} {blocked}: of 1,000 messages as in test and hold-out **{cost}** ({low} to "
        "{high}), against {before} where the more probable class decides, as trained."
    )
    return form(
        text,
        unsure_from=str(chosen.get("unsure_from", "")),
        asked=f"{given['unsure'] or 0:g}",
        missed=f"{given['costs']['missed']:g}",
        blocked=f"{given['costs']['blocked']:g}",
        positive=calibration["labels"][1],
        negative=calibration["labels"][0],
        cost=count(cost["decision"]),
        low=count(cost["intervals"]["decision"][0]),
        high=count(cost["intervals"]["decision"][1]),
        before=count(cost["as_trained"]),
    )


def _worth_of_rate(calibration: dict[str, Any], params: dict[str, Any], form: Form) -> str:
    """How few messages of validation say what the false-positive rate is."""
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

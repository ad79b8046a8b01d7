"""The parts of a report on two sides of a change: test figures, matrices, parameters, metrics."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from spam_gpt2.common.markdown import code, details, escape, table
from spam_gpt2.common.nested import flat
from spam_gpt2.common.secrets import without_secrets
from spam_gpt2.common.text import one_line
from spam_gpt2.evaluation.intervals import difference_interval, share_interval
from spam_gpt2.reporting.fold_words import FOLDS, fold_movements
from spam_gpt2.reporting.movements import CONFIDENCE, NOISE, Movement, judgement, movements
from spam_gpt2.reporting.revisions import ABSENT, Results
from spam_gpt2.reporting.summary import FIGURES

NOTHING = "–"
SIDES = ("before", "after")
Metrics = dict[str, Any]
Counts = list[list[int]]  # (K, K): rows are the true classes, columns the predicted
Matrix = tuple[str, str, str]  # what made it, of which split, and the table that shows it


@dataclass(frozen=True)
class Pair:
    """A metrics file on both sides; empty where it is missing."""

    stem: str
    before: Metrics
    after: Metrics

    @property
    def sides(self) -> tuple[Metrics, Metrics]:
        """Both, in order of time."""
        return self.before, self.after

    @property
    def title(self) -> str:
        """What made the figures; of two, both."""
        names = [side.get("weights", side.get("model")) for side in self.sides]
        return escape(" → ".join(dict.fromkeys(map(str, filter(None, names)))) or self.stem)

    def part(self, key: str) -> tuple[Metrics, Metrics]:
        """What both sides hold under a key, empty where it is missing."""
        before, after = (side.get(key) for side in self.sides)
        return (
            before if isinstance(before, dict) else {},
            after if isinstance(after, dict) else {},
        )

    @property
    def movements(self) -> list[Movement]:
        """The figures with an interval that are not the same on both sides."""
        if self.stem == FOLDS:
            return fold_movements(*self.sides)
        is_model = "test" in self.before or "test" in self.after
        return movements(self.title if is_model else escape(self.stem), *self.sides)

    @property
    def noise(self) -> set[str]:
        """Keys of those that chance may explain."""
        return {movement.key for movement in self.movements if movement.is_noise}

    def matrices(self, split: str) -> tuple[Counts | None, Counts | None]:
        """Confusion matrices of a split, None where it is missing."""
        before, after = self.part("confusion")
        return before.get(split), after.get(split)


def figures_section(pairs: list[Pair], same_test_set: bool | None) -> str:
    """Of each model whose test results change: is it more than chance, and the figures."""
    sentences, rows = [], []
    for pair in pairs:
        figures, (old, new) = pair.part("test"), pair.matrices("test")
        if any("accuracy" in side for side in figures) and (changed_keys(*figures) or old != new):
            sentences.append(f"**{pair.title}**: {verdict(old, new)}")
            noise = pair.noise
            rows += [
                [f"{pair.title}: {name}", *comparison(name, *figures, f"test.{name}" in noise)]
                for name in FIGURES
            ]
    if not rows:
        return ""
    figures_table = table(["test set", *SIDES, "change"], rows)
    return "\n\n".join(["### Test set", *sentences, method(same_test_set), figures_table])


def verdict(before: Counts | None, after: Counts | None) -> str:
    """Sentences on how a model's test accuracy changes and whether chance may explain it."""
    if before is None or after is None:
        return "without the test set's counts on both sides, nothing tells a change from chance."
    (right, total), (right_now, total_now) = right_of(before), right_of(after)
    share, share_now = right / total, right_now / total_now
    bounds = [share_interval(*pair, CONFIDENCE) for pair in map(right_of, (before, after))]
    low, high = difference_interval(share, bounds[0], share_now, bounds[1])
    now = f"{share_now:.2%} ({right_now} of {total_now})"
    goes = f"{'rises' if share_now > share else 'falls'} from {share:.2%} ({right} of {total}) to"
    chance = low <= 0 <= high
    return (
        f"test accuracy {'stays at' if share == share_now else goes} {now}. "
        f"The difference, {100 * (share_now - share):+.2f} points, is "
        f"**{'not ' if chance else ''}larger than its {CONFIDENCE:.0%} interval**: "
        f"{100 * low:+.2f} to {100 * high:+.2f} {'contains' if chance else 'excludes'} 0, so that "
        f"chance {'may explain it: noise' if chance else 'does not explain it'}."
    )


def right_of(counts: Counts) -> tuple[int, int]:
    """Messages that were classified right, and all."""
    return int(np.trace(counts)), int(np.sum(counts))


def method(same_test_set: bool | None) -> str:
    """How the intervals are made, and what they are worth."""
    worth = {
        True: "Both sides classify the same messages, for which they are conservative: intervals "
        "of paired answers would as a rule be narrower.",
        False: "As the test sets differ, that is all that can be compared.",
        None: "`dvc.lock` does not say whether both sides classify the same messages.",
    }
    text = "Intervals of a change are Newcombe's, for two independent samples (1998, method 10)."
    return f"<sub>{text} {worth[same_test_set]}</sub>"


def parameters_section(before: Results, after: Results) -> str:
    """The parameters that differ."""
    old, new = dict(flat(before.params)), dict(flat(after.params))
    rows = [
        [code(key), *(_parameter(side.get(key, ABSENT)) for side in (old, new))]
        for key in {**old, **new}
        if old.get(key, ABSENT) != new.get(key, ABSENT)
    ]
    return f"### Parameters\n\n{table(['', *SIDES], rows)}" if rows else ""


def confusion_matrices(pairs: list[Pair]) -> list[Matrix]:
    """Title, split and table of each confusion matrix; no table where nothing changes."""
    return [
        (pair.title, split, _confusion_change(pair, split))
        for pair in pairs
        for split in {**pair.after.get("confusion", {}), **pair.before.get("confusion", {})}
    ]


def _confusion_change(pair: Pair, split: str) -> str:
    labels, matrices = [side.get("labels") for side in pair.sides], pair.matrices(split)
    if labels[0] != labels[1] or None in matrices:
        return "\n\n".join(
            f"{name}:\n\n{confusion_table(classes, counts, counts)}"
            for name, classes, counts in zip(SIDES, labels, matrices, strict=True)
            if counts is not None
        )
    return "" if matrices[0] == matrices[1] else confusion_table(labels[0], *matrices)


def confusion_table(labels: list[str], before: Counts, after: Counts) -> str:
    """The counts after and, where they differ, those before."""
    rows = [
        [code(label), *(_count(old, new) for old, new in zip(*counts, strict=True))]
        for label, *counts in zip(labels, before, after, strict=True)
    ]
    return table(["true \\ predicted", *map(code, labels)], rows)


def confusion_section(matrices: list[Matrix]) -> str:
    """Matrices of the test sets in the open, the others folded, unchanged ones by name."""
    if not matrices:
        return ""
    shown, folded = ["### Confusion matrices"], []
    unchanged: dict[str, list[str]] = {}
    for title, split, text in matrices:
        if text:
            (shown if split == "test" else folded).append(f"**{title}, {escape(split)}**\n\n{text}")
        else:
            unchanged.setdefault(title, []).append(split)
    if folded:
        shown.append(details("Other splits", "\n\n".join(folded)))
    if unchanged:
        names = [
            f"{title} ({', '.join(map(escape, splits))})" for title, splits in unchanged.items()
        ]
        shown.append(f"Unchanged: {', '.join(names)}.")
    return "\n\n".join([*shown, "As pictures: `before/` and `after/` in `pr-report`."])


def metrics_sections(pairs: list[Pair]) -> Iterator[str]:
    """For each metrics file, every figure that changes by more than rounding."""
    for pair in pairs:
        kept = ({k: v for k, v in side.items() if k != "confusion"} for side in pair.sides)
        old, new = (dict(flat(side)) for side in kept)
        noise = pair.noise
        rows = [
            [code(key), *comparison(key, old, new, key in noise)] for key in changed_keys(old, new)
        ]
        if rows:
            state = "" if old and new else " (new)" if new else " (gone)"
            file = html.escape(one_line(f"metrics/{pair.stem}.json"))
            summary = f"<code>{file}</code>{state}: {len(rows)} changed"
            yield details(summary, table(["metric", *SIDES, "change"], rows))


def changed_keys(before: Metrics, after: Metrics) -> list[str]:
    """Keys whose values differ as they are shown, in order."""
    return [k for k in {**before, **after} if _shown(before.get(k)) != _shown(after.get(k))]


def comparison(key: str, before: Metrics, after: Metrics, is_noise: bool) -> list[str]:
    """Three cells: a metric before, after, and which way it goes, for better or worse, or noise."""
    old, new = before.get(key), after.get(key)
    cells = [_shown(old), _shown(new)]
    if cells[0] == cells[1]:
        return [*cells, "="]
    if not (_is_number(old) and _is_number(new)):
        return [*cells, ""]
    judged = NOISE if is_noise else judgement(key, new > old)
    return [*cells, f"{'▲' if new > old else '▼'} {_difference(old, new)} {judged}".rstrip()]


def _difference(old: float, new: float) -> str:
    """Of the figures as they are shown."""
    if isinstance(new - old, int):
        return f"{new - old:+d}"
    return f"{round(new, 4) - round(old, 4):+.4f}"


def _shown(value: Any) -> str:
    if isinstance(value, list):
        is_flat = not any(isinstance(item, dict | list) for item in value)
        return f"[{', '.join(map(_shown, value))}]" if is_flat else f"{len(value)} entries"
    if isinstance(value, float):
        return f"{value:.4f}"
    return NOTHING if value is None else code(value) if isinstance(value, str) else str(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _count(old: int, new: int) -> str:
    return str(new) if old == new else f"{old} → {new} ({new - old:+d})"


def _parameter(value: Any) -> str:
    if value is ABSENT:
        return NOTHING
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return code(without_secrets(text))

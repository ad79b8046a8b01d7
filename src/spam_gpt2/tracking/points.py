"""The numbers that a run gets: name, value and step, from the files that the stages wrote.

MLflow's interface makes a section of what stands before the slash.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from spam_gpt2.common.files import read_json
from spam_gpt2.common.timings import TIMINGS_PATH, last_execution

Point = tuple[str, float, int]  # the step of a final figure is 0
SPLITS = ("train", "validation", "test")
STAGES = (  # that lead to `track`
    *("check_params", "download_data", "prepare", "fetch_gpt2", "convert_gpt2", "plan_features"),
    *("extract_features", "finetune", "evaluate", "baseline"),
)
CURVES = {"loss": "step", "accuracy": "epoch"}  # files in plots/finetune and what they go by


def result_points(root: Path) -> Iterator[Point]:
    """All that is known when fine-tuning, evaluation and baseline are done."""
    gpt2, baseline = (read_json(root / f"metrics/{name}.json") for name in ("gpt2", "baseline"))
    yield from _split_points(gpt2, "")
    yield from _split_points(baseline, "_baseline")
    for name in ("training", "data", "tokens"):
        yield from file_points(root, name)
    yield from curve_points(root)
    yield from time_points(root, STAGES)


def _split_points(metrics: dict[str, Any], suffix: str) -> Iterator[Point]:
    """Figures of the splits, the test figures' intervals, and those without leak."""
    for split in SPLITS:
        yield from numbers(metrics.get(split, {}), f"{split}{suffix}/")
    yield from numbers(metrics.get("test_intervals", {}), f"test{suffix}/")
    for part in ("unseen", "new_campaigns"):
        figures = metrics.get(f"test_{part}", {})
        for figure in ("accuracy", "messages"):
            if figure in figures:
                yield f"test{suffix}/{figure}_{part}", float(figures[figure]), 0


def file_points(root: Path, name: str) -> Iterator[Point]:
    """All numbers of `metrics/<name>.json`; none where it is missing."""
    path = root / f"metrics/{name}.json"
    if not path.is_file():
        return
    if name == "learning_curve":
        yield from _learning_curve(read_json(path))
    else:
        yield from numbers(read_json(path), f"{name}/")


def _learning_curve(metrics: dict[str, Any]) -> Iterator[Point]:
    """By the number of messages, so that MLflow draws it."""
    for model in ("gpt2", "baseline"):
        for size, figures in metrics.get(model, {}).items():
            for name, value, _ in numbers(figures, f"learning_curve/{model}."):
                yield name, value, int(size)


def curve_points(root: Path) -> Iterator[Point]:
    """The curves of fine-tuning, by step and by epoch."""
    for file, column in CURVES.items():
        with (root / f"plots/finetune/{file}.csv").open(encoding="utf-8", newline="") as rows:
            for row in csv.DictReader(rows):
                yield from curve_point({name: float(value) for name, value in row.items()}, column)


def curve_point(row: dict[str, float], column: str) -> Iterator[Point]:
    """A row of a curve, whose step is in one of its columns."""
    for name, value in row.items():
        if name != column:
            yield f"curves/{name}", value, int(row[column])


def time_points(root: Path, stages: Collection[str]) -> Iterator[Point]:
    """Seconds and peak memory of those stages that ran, and did not come from DVC's cache."""
    for timing in last_execution(stages, root / TIMINGS_PATH):
        yield f"seconds/{timing.stage}", timing.seconds, 0
        yield f"peak_memory_mb/{timing.stage}", float(timing.peak), 0


def numbers(values: dict[str, Any], prefix: str) -> Iterator[Point]:
    """Numbers in nested dictionaries, by dotted names; of an interval, its two ends."""
    for key, value in values.items():
        name = f"{prefix}{safe(key)}"
        if isinstance(value, dict):
            yield from numbers(value, f"{name}.")
        elif _is_number(value):
            yield name, float(value), 0
        elif isinstance(value, list) and len(value) == 2 and all(map(_is_number, value)):
            yield f"{name}.low", float(value[0]), 0
            yield f"{name}.high", float(value[1]), 0


def safe(label: str) -> str:
    """A class's name without what MLflow takes in no metric's name."""
    return re.sub(r"[^\w. :-]", "_", label)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)

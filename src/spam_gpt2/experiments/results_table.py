"""The table of experiments: Markdown, CSV and a picture, beside the published figures."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from spam_gpt2.common.files import write_csv, write_text
from spam_gpt2.common.markdown import table
from spam_gpt2.common.project import COLLECTION_PATH
from spam_gpt2.experiments.runner import Results, Run
from spam_gpt2.experiments.spec import Experiment
from spam_gpt2.figures.charts import save_dots

TABLE_PATH = Path("reports/experiments.md")
SPLITS = ("train", "validation", "test")
EXTRACTION = "extract_features"
IN_PLACE = " in place of "
NOT_FETCHED = "not fetched"
INTERVAL = ["test low %", "test high %"]  # in the CSV and the picture only
# Columns, and the part of the metrics file that has the accuracy on messages unlike the training's.
WITHOUT_LEAK = {"unseen test %": "test_unseen", "new campaigns test %": "test_new_campaigns"}
CONFIDENCE = 0.95  # of the interval of a mean over seeds
Bounds = list[tuple[float, float]]
USUAL_SEEDS = 5  # as `make seeds` runs; their report has the plain name


@dataclass(frozen=True)
class Row:
    """An experiment with what came out of it; `run` is None when nobody timed it."""

    experiment: Experiment
    results: Results
    run: Run | None
    commit: str  # of the code and parameters that it was run on

    @property
    def weights(self) -> str:
        """The weights, and for which they stand in when the experiment's own were out of reach."""
        name, size = self.results.gpt2["weights"], self.experiment.overrides.get("fetch_gpt2.size")
        return f"{name}{IN_PLACE}{size}" if size and size not in name else name

    @property
    def recomputed(self) -> str:
        """Whether the frozen part had to be computed for it, or came from the cache."""
        if self.run is None:
            return ""
        return "yes" if EXTRACTION in self.run.stages else "no"


def frame(rows: list[Row]) -> pd.DataFrame:
    """A row an experiment: accuracies in per cent, times in seconds, published ones in minutes."""
    return pd.DataFrame([_cells(row) for row in rows])


def _cells(row: Row) -> dict[str, object]:
    published = row.experiment.published
    cells: dict[str, object] = {
        "experiment": row.experiment.name,
        "about": row.experiment.about,
        "weights": row.weights,
        "trained parameters": row.results.training["trainable_parameters"],
    }
    for split in SPLITS:
        cells[f"{split} %"] = round(100 * row.results.gpt2[split]["accuracy"], 2)
    for name, part in WITHOUT_LEAK.items():
        accuracy = row.results.gpt2.get(part, {}).get("accuracy")
        cells[name] = None if accuracy is None else round(100 * accuracy, 2)
    cells["seconds"] = row.run.seconds if row.run else None
    cells["fine-tuning s"] = row.run.stages.get("finetune") if row.run else None
    cells["features recomputed"] = row.recomputed
    if IN_PLACE in row.weights:  # the stand-in's figures, which are another row's
        cells |= dict.fromkeys(list(cells)[3:], None) | {"weights": NOT_FETCHED}
    for split in SPLITS:
        cells[f"published {split} %"] = getattr(published, split) if published else None
    cells["published minutes"] = published.minutes if published else None
    cells["commit"] = row.commit
    cells["messages"] = row.results.messages
    return cells | dict(zip(INTERVAL, _test_interval(row), strict=True))


def _test_interval(row: Row) -> tuple[float, float]:
    """Of the accuracy on test, in per cent; NaN where there is none, or it is a stand-in's."""
    bounds = row.results.gpt2.get("test_intervals", {}).get("accuracy")
    if bounds is None or IN_PLACE in row.weights:
        return math.nan, math.nan
    return tuple(round(100 * bound, 2) for bound in bounds)


def merge(fresh: pd.DataFrame, path: Path, order: list[str]) -> pd.DataFrame:
    """Fresh rows, and from the table at `path` those of other experiments, as in `order`.

    A row whose experiment is no longer in `order` is dropped.
    """
    every = [fresh]
    if path.with_suffix(".csv").is_file():
        earlier = pd.read_csv(path.with_suffix(".csv"), dtype={"commit": str})
        if "messages" not in earlier:  # before they were named, they were these
            earlier["messages"] = COLLECTION_PATH
        missing = [n for n in (*INTERVAL, *WITHOUT_LEAK) if n not in earlier]  # in older tables
        earlier = earlier.assign(**dict.fromkeys(missing, math.nan))
        if set(earlier.columns) == set(fresh.columns):  # else of another version
            earlier = earlier[list(fresh.columns)]
            every.append(_blank(earlier[~earlier["experiment"].isin(fresh["experiment"])]))
    merged = pd.concat([rows.astype(object) for rows in every])
    merged = merged[merged["experiment"].isin(order)]
    whole = merged["trained parameters"].astype("Int64")  # a float where a row has none
    merged = merged.assign(**{"trained parameters": whole.astype(object)})
    return merged.sort_values("experiment", key=lambda names: names.map(order.index))


def _blank(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows as earlier versions wrote them, without a stand-in's figures for another size."""
    columns = list(rows.columns)
    own = columns[3 : columns.index("published train %")]
    stood_in = rows["weights"].str.contains(IN_PLACE)
    blank = rows.astype(object)
    blank.loc[stood_in, own] = None
    blank.loc[stood_in, "weights"] = NOT_FETCHED
    return blank


def write_table(rows: list[Row], order: list[str], path: Path = TABLE_PATH) -> None:
    """Write the table to `path`, and beside it the same as .csv and a picture as .png.

    Experiments of `order` that are not among the rows keep those that the table has.
    """
    whole = merge(frame(rows), path, order)
    write_csv(path.with_suffix(".csv"), whole)
    shown = markdown(whole if whole["messages"].nunique() > 1 else whole.drop(columns="messages"))
    write_text(path, f"# Experiments\n\n{note(whole)}\n\n{shown}\n")
    points = picture_series(whole)
    bounds = whole[INTERVAL].astype(float).itertuples(index=False, name=None)
    save_dots(
        path.with_suffix(".png"), picture_names(whole), points,
        intervals={next(iter(points)): [*bounds]}, title="Accuracy of each experiment (test)",
        x="accuracy, per cent", note="lines are intervals, as far as a test set of this size goes",
    )  # fmt: skip


def picture_names(rows: pd.DataFrame) -> list[str]:
    """What the picture's lines are called: an experiment's name, and why it has no dot of ours."""
    absent = rows["weights"] == NOT_FETCHED
    return rows["experiment"].mask(absent, rows["experiment"] + f" ({NOT_FETCHED})").tolist()


def picture_series(rows: pd.DataFrame) -> dict[str, list[float]]:
    """The picture's series: here, published, and without leak where that is something else."""
    repeated = rows["weights"] == NOT_FETCHED
    weights = ", ".join(sorted(set(rows["weights"][~repeated])))
    here = rows["test %"].mask(repeated).astype(float)  # a stand-in's dot would pass for that size
    points = {f"here, {weights}": here}
    if rows["published test %"].notna().any():
        points["published, GPT-2's own weights"] = rows["published test %"]
    unseen = rows["unseen test %"].mask(repeated | (rows["unseen test %"] == rows["test %"]))
    if unseen.notna().any():
        points["here, without messages that stand in train, too"] = unseen.astype(float)
    return {series: values.tolist() for series, values in points.items()}


def note(rows: pd.DataFrame) -> str:
    """What the reader must know before comparing."""
    line = (
        "Made by `make experiments`, two side by side. Seconds are of a whole `dvc exp run`; what "
        "was not recomputed came from DVC's cache. Published minutes are of training alone, on an "
        "A100. Unseen are the test messages whose text is no training message's: what the accuracy "
        "on all has beyond that on them is leak, if the others, mostly spam, are as hard."
    )
    if rows["weights"].str.contains("gpt2-mini").any():
        line += (
            " **Rows with the weights gpt2-mini are the small stand-in's**: they show that each "
            "variant runs, and are no figures of GPT-2. A size that could not be fetched has only "
            "the published figures."
        )
    return line


def markdown(rows: pd.DataFrame) -> str:
    """A frame as a Markdown table; what is missing is left empty."""
    rows = rows.drop(columns=INTERVAL)
    columns = list(rows.columns)
    cells = [list(map(_cell, columns, values)) for values in rows.itertuples(index=False)]
    return table(columns, cells)


def _cell(column: str, value: object) -> str:
    """As many decimals throughout a column, so that the eye can compare."""
    if pd.isna(value):
        return ""
    if column.endswith((" %", " minutes")):
        return f"{value:.2f}"
    if column.endswith((" s", "seconds")):
        return f"{value:.1f}"
    if column == "trained parameters":  # a float where a row of the column has none
        return f"{int(value):,}"
    return str(value)


def write_seeds(name: str, rows: list[Row], folder: Path = TABLE_PATH.parent) -> str:
    """Write `seeds_<name>.md` and the same as a picture, .png; returns the text.

    Another number of seeds than the usual one is in the name, `seeds_<name>_2.md`: a quick look
    does not overwrite the report of five.

    Args:
        rows: of one experiment with other seeds, two at the least.
    """
    weights = rows[0].results.gpt2["weights"]
    title = f"{name}: {len(rows)} seeds, weights {weights}"
    shares = {
        split: [100 * row.results.gpt2[split]["accuracy"] for row in rows] for split in SPLITS
    }
    text = f"# {title}\n\n{seeds_summary(shares)}\n"
    count = "" if len(rows) == USUAL_SEEDS else f"_{len(rows)}"
    path = folder / f"seeds_{name}{count}.md"
    write_text(path, f"{text}\n![Accuracy of each seed]({path.stem}.png)\n")
    seeds = [f"seed {row.experiment.overrides['finetune.seed']}" for row in rows]
    means = {split: [*found, statistics.mean(found)] for split, found in shares.items()}
    save_dots(
        path.with_suffix(".png"), [*seeds, f"mean of {len(seeds)}"], means,
        intervals=seeds_intervals(rows, shares), title=f"Accuracy of each seed: {name}",
        x="accuracy, per cent",
        note=f"{weights}; lines are intervals: a seed's for a test set of this size, the mean's "
        f"for other seeds ({CONFIDENCE:.0%}, Student's t)",
    )  # fmt: skip
    return text


def seeds_intervals(rows: list[Row], shares: dict[str, list[float]]) -> dict[str, Bounds]:
    """Of each seed's accuracy on test, and of every split's mean: Student's t (Student 1908)."""
    from scipy import stats  # half a second that the other commands do not need

    intervals = {}
    for split, found in shares.items():
        each = [_test_interval(row) if split == "test" else (math.nan,) * 2 for row in rows]
        mean, error = statistics.mean(found), statistics.stdev(found) / math.sqrt(len(found))
        reach = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(found) - 1)) * error
        intervals[split] = [*each, (mean - reach, mean + reach)]
    return intervals


def seeds_summary(shares: dict[str, list[float]]) -> str:
    """Mean and standard deviation over several seeds, as a Markdown table.

    Args:
        shares: accuracies in per cent, of each split one a seed.
    """
    cells = []
    for split, found in shares.items():
        spread = (statistics.mean(found), statistics.stdev(found), min(found), max(found))
        cells.append([split, *(f"{value:.2f}" for value in spread)])
    return table(["accuracy", "mean %", "standard deviation", "lowest %", "highest %"], cells)

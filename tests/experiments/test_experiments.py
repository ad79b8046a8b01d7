"""Named experiments: the shipped file, what is refused, and the table by hand."""

from __future__ import annotations

import csv
import math
import os
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from conftest import ROOT
from repository import Repository

from spam_gpt2.common.files import InputError
from spam_gpt2.common.project import COLLECTION_PATH
from spam_gpt2.experiments import results_table
from spam_gpt2.experiments.__main__ import share_of_cores
from spam_gpt2.experiments.results_table import (
    Row,
    frame,
    markdown,
    picture_names,
    picture_series,
    write_seeds,
    write_table,
)
from spam_gpt2.experiments.runner import Results, Run, command, find
from spam_gpt2.experiments.spec import Experiment, Published, choose, load_experiments

PARAMS_PATH = ROOT / "params.yaml"


@pytest.fixture(scope="module")
def shipped() -> dict[str, Experiment]:
    return load_experiments(ROOT / "experiments.yaml", PARAMS_PATH)


def write_spec(folder: Path, experiments: dict[str, Any], **common: Any) -> Path:
    path = folder / "experiments.yaml"
    group = {"about": "a group", "common": common, "experiments": experiments}
    path.write_text(yaml.safe_dump({"group": group}))
    return path


def row(name: str, accuracy: float, *, run: Run | None = None, **changes: Any) -> Row:
    published = changes.get("published")
    overrides = changes.get("overrides", {})
    experiment = Experiment(name, "group", f"about {name}", overrides, published)
    splits = {split: {"accuracy": accuracy} for split in ("train", "validation", "test")}
    unseen = changes.get("unseen", {"messages": 4, "accuracy": accuracy})
    gpt2 = {"weights": changes.get("weights", "gpt2-124M"), **splits, "test_unseen": unseen}
    if "interval" in changes:
        gpt2["test_intervals"] = {"accuracy": changes["interval"]}
    messages = changes.get("messages", COLLECTION_PATH)
    return Row(experiment, Results(gpt2, {"trainable_parameters": 1538}, messages), run, "abc1234")


def test_all_nineteen_published_rows_are_there_once_and_in_order(
    shipped: dict[str, Experiment],
) -> None:
    rows = [e.published.row for e in shipped.values() if e.published]
    assert rows == list(range(1, 20))


def test_what_makes_each_variant_is_set(shipped: dict[str, Experiment]) -> None:
    def of(name: str, key: str) -> Any:
        return shipped[name].overrides.get(key)

    assert of("book", "prepare.duplicates") == "keep"
    assert of("book", "finetune.recipe") == "book"
    assert of("last_token", "classifier.position") == "last_token"
    assert of("first_token", "classifier.position") == "first_token"
    assert of("lora", "finetune.trainable") == "lora"
    assert of("no_padding_accumulated", "finetune.accumulation_steps") == 8
    assert of("full_context", "classifier.max_length") == "context"
    assert of("no_causal_mask", "classifier.causal") is False
    assert of("random_weights", "classifier.init") == "random"
    assert shipped["default"].overrides == {}


def test_the_shipped_published_figures_are_those_of_the_table(
    shipped: dict[str, Experiment],
) -> None:
    tests = [e.published.test for e in shipped.values() if e.published]
    assert tests == [
        95.00, 75.00, 72.00, 98.33, 96.67, 84.67, 96.67, 98.33, 98.67, 93.67,
        96.67, 98.33, 78.33, 98.00, 98.33, 98.33, 95.33, 95.00, 96.33,
    ]  # fmt: skip


def test_a_groups_common_overrides_hold_and_an_experiment_goes_over_them(tmp_path: Path) -> None:
    path = write_spec(
        tmp_path,
        {"a": {"about": "a", "set": {"finetune.epochs": 2}}, "b": {"about": "b"}},
        **{"finetune.epochs": 9, "finetune.seed": 4},
    )
    found = load_experiments(path, PARAMS_PATH)
    assert found["a"].overrides == {"finetune.epochs": 2, "finetune.seed": 4}
    assert found["b"].overrides == {"finetune.epochs": 9, "finetune.seed": 4}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"about": "x", "set": {"finetune.epoch": 2}}, "a: finetune.epoch: unknown key"),
        ({"about": "x", "set": {"epochs": 2}}, "a: epochs: unknown key"),
        ({"about": "x", "set": {"finetune.epochs": 0}}, "a: finetune.epochs: "),
        ({"about": "x", "sets": {}}, "group.experiments.a.sets: unknown key"),
        ({"set": {}}, "group.experiments.a.about: is missing"),
        ({"about": "x", "published": {"row": 1}}, "group.experiments.a.published."),
    ],
)
def test_a_wrong_experiment_is_one_line_that_names_it(
    tmp_path: Path, entry: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError) as caught:
        load_experiments(write_spec(tmp_path, {"a": entry}), PARAMS_PATH)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["a b", "-a", "a/b", "../a", ""])
def test_a_name_that_git_would_not_take_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="is no name for an experiment"):
        load_experiments(write_spec(tmp_path, {name: {"about": "x"}}), PARAMS_PATH)


def test_names_differ_by_more_than_case(tmp_path: Path) -> None:
    """Git's references and the logs are files, and macOS and Windows take these two for one."""
    entries = {"lora": {"about": "x"}, "LoRA": {"about": "y"}}
    with pytest.raises(InputError, match="'lora' is 'LoRA' where files' names have no case"):
        load_experiments(write_spec(tmp_path, entries), PARAMS_PATH)


def test_a_missing_or_broken_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        load_experiments(tmp_path / "experiments.yaml", PARAMS_PATH)
    (tmp_path / "experiments.yaml").write_text("a: [")
    with pytest.raises(InputError, match="not valid YAML"):
        load_experiments(tmp_path / "experiments.yaml", PARAMS_PATH)


def test_a_wrong_params_yaml_is_blamed_itself(tmp_path: Path) -> None:
    params_path = tmp_path / "params.yaml"
    content = PARAMS_PATH.read_text().replace("learning_rate: 5.0e-5", "learning_rate: -5")
    params_path.write_text(content)
    with pytest.raises(InputError) as caught:
        load_experiments(write_spec(tmp_path, {"a": {"about": "x"}}), params_path)
    expected = f"{params_path}: finetune.learning_rate: must be above 0, not -5"
    assert str(caught.value).startswith(expected)


def test_experiments_are_chosen_by_name_or_group_in_the_files_order(
    shipped: dict[str, Experiment],
) -> None:
    assert [e.name for e in choose(shipped, ["lora", "book"])] == ["book", "lora"]
    assert len(choose(shipped, ["published"])) == 19
    assert len(choose(shipped, [])) == len(shipped)
    with pytest.raises(InputError, match="no experiment 'nope'; there are book, "):
        choose(shipped, ["nope"])


def test_the_command_is_what_one_would_type() -> None:
    experiment = Experiment("x", "g", "", {"a.b": None, "c.d": False, "e.f": "355M", "g.h": 5e-4})
    assert command(experiment, "--temp") == [
        "dvc", "exp", "run", "--temp", "--name", "x", "--set-param", "a.b=null",
        "--set-param", "c.d=false", "--set-param", "e.f=355M", "--set-param", "g.h=0.0005", "track",
    ]  # fmt: skip


def test_seeds_change_all_draws_of_the_training(shipped: dict[str, Experiment]) -> None:
    seeded = shipped["book"].with_seed(7)
    assert seeded.name == "book-seed7"
    assert seeded.overrides == shipped["book"].overrides | {"finetune.seed": 7}
    assert shipped["random_weights"].with_seed(7).overrides["classifier.init_seed"] == 7


def test_the_table_holds_what_came_out_and_what_was_published(tmp_path: Path) -> None:
    published = Published(row=1, train=96.63, validation=99.33, test=95.0, minutes=0.28)
    timed = Run("c0ffee", 21.5, {"extract_features": 3.0, "finetune": 9.25})
    rows = [
        row(
            "book", 0.95, run=timed, published=published, unseen={"messages": 8, "accuracy": 0.875}
        ),
        row("own", 0.905, run=Run("beef", 8.0, {"finetune": 4.0}), weights="gpt2-mini"),
        row("untimed", 1.0, unseen={"messages": 0}),
    ]
    path = tmp_path / "table.md"
    write_table(rows, ["book", "own", "untimed"], path)
    with path.with_suffix(".csv").open(encoding="utf-8", newline="") as file:
        book, own, untimed = csv.DictReader(file)
    assert (book["test %"], book["published test %"], book["seconds"]) == ("95.0", "95.0", "21.5")
    assert (book["fine-tuning s"], book["features recomputed"]) == ("9.25", "yes")
    assert (own["test %"], own["published test %"]) == ("90.5", "")
    assert [found["unseen test %"] for found in (book, own, untimed)] == ["87.5", "90.5", ""]
    assert own["features recomputed"] == "no"
    assert (untimed["seconds"], untimed["features recomputed"]) == ("", "")
    text = path.read_text(encoding="utf-8")
    assert "are no figures of GPT-2" in text
    assert "| own | about own | gpt2-mini | 1,538 | 90.50 |" in text
    assert path.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


def test_without_the_stand_in_nothing_is_said_of_it(tmp_path: Path) -> None:
    path = tmp_path / "table.md"
    write_table([row("book", 0.95)], ["book"], path)
    assert "stand-in" not in path.read_text(encoding="utf-8")


def test_a_table_keeps_the_rows_of_experiments_that_are_not_run_again(tmp_path: Path) -> None:
    path, order = tmp_path / "table.md", ["first", "second", "third"]
    write_table([row("third", 0.5, run=Run("beef", 8.0, {})), row("dropped", 0.1)], order, path)
    write_table([row("second", 0.75)], order, path)
    write_table([row("second", 0.875), row("first", 1.0)], order, path)
    with path.with_suffix(".csv").open(encoding="utf-8", newline="") as file:
        found = [
            (r["experiment"], r["test %"], r["seconds"], r["commit"]) for r in csv.DictReader(file)
        ]
    assert found == [
        ("first", "100.0", "", "abc1234"),
        ("second", "87.5", "", "abc1234"),
        ("third", "50.0", "8.0", "abc1234"),
    ]


def test_the_table_says_which_messages_a_row_is_of(tmp_path: Path) -> None:
    """Rows of a version that did not say so are the collection's, and are kept."""
    path, order = tmp_path / "table.md", ["first", "second"]
    write_table([row("first", 0.5)], order, path)
    csv_path = path.with_suffix(".csv")
    assert "messages |" not in path.read_text()
    pd.read_csv(csv_path).drop(columns="messages").to_csv(csv_path, index=False)
    write_table([row("second", 0.75, messages="own.csv")], order, path)
    with csv_path.open(encoding="utf-8", newline="") as file:
        found = {r["experiment"]: r["messages"] for r in csv.DictReader(file)}
    assert found == {"first": COLLECTION_PATH, "second": "own.csv"}
    assert path.read_text().count("| own.csv |") == 1


def test_a_stand_in_for_a_larger_model_is_named_as_one() -> None:
    large = {"fetch_gpt2.size": "355M"}
    stood_in = row("large", 0.5, weights="gpt2-mini", overrides=large)
    assert stood_in.weights == "gpt2-mini in place of 355M"
    assert row("large", 0.5, weights="gpt2-355M", overrides=large).weights == "gpt2-355M"
    assert row("small", 0.5, weights="gpt2-mini").weights == "gpt2-mini"


def test_a_size_that_was_not_fetched_shows_published_figures_alone(tmp_path: Path) -> None:
    published = Published(row=1, train=87.5, validation=91.28, test=84.67, minutes=0.75)
    large = row(
        "large", 0.5, weights="gpt2-mini", overrides={"fetch_gpt2.size": "355M"},
        published=published, run=Run("beef", 8.0, {}),
    )  # fmt: skip
    path = tmp_path / "table.md"
    write_table([large, row("small", 0.5, weights="gpt2-mini")], ["large", "small"], path)
    lines = path.read_text(encoding="utf-8").splitlines()
    [shown] = [line for line in lines if line.startswith("| large ")]
    cells = [cell.strip() for cell in shown.strip("|").split("|")]
    assert cells[2:12] == ["not fetched"] + [""] * 9
    assert cells[12:16] == ["87.50", "91.28", "84.67", "0.75"]
    [small] = [line for line in lines if line.startswith("| small ")]
    assert "| gpt2-mini | 1,538 | 50.00 | 50.00 | 50.00 |" in small
    with path.with_suffix(".csv").open(encoding="utf-8", newline="") as file:
        assert [r["trained parameters"] for r in csv.DictReader(file)] == ["", "1538"]


@pytest.mark.parametrize(
    ("finetune", "counts"), [({"epochs": 3}, True), ({"epochs": 2}, False), ({"new": 1}, False)]
)
def test_an_execution_counts_when_it_had_the_parameters_of_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, finetune: dict[str, int], counts: bool
) -> None:
    values = yaml.safe_load(PARAMS_PATH.read_text(encoding="utf-8"))
    repository = Repository(tmp_path)
    start = repository.commit(params__yaml=values)
    ran = repository.commit(params__yaml=values | {"finetune": values["finetune"] | finetune})
    repository.git("update-ref", f"refs/exps/{start[:2]}/{start[2:]}/x", ran)
    repository.git("reset", "-q", "--hard", start)
    monkeypatch.chdir(tmp_path)
    found = find(Experiment("x", "group", "about x", {"finetune.epochs": 3}))
    assert found == (ran if counts else None)


def test_all_cells_of_a_markdown_column_have_as_many_decimals() -> None:
    text = markdown(frame([row("a", 0.9), row("b", 0.94321)]))
    assert "| a | about a | gpt2-124M | 1,538 | 90.00 | 90.00 | 90.00 |" in text
    assert "| b | about b | gpt2-124M | 1,538 | 94.32 | 94.32 | 94.32 |" in text
    assert len({line.count("|") for line in text.splitlines()}) == 1


def test_the_spread_over_seeds_by_hand(tmp_path: Path) -> None:
    shares = {1: 0.90, 2: 0.92, 3: 0.97}
    rows = [
        row("x", share, overrides={"finetune.seed": seed}, weights="gpt2-mini")
        for seed, share in shares.items()
    ]
    text = write_seeds("x", rows, tmp_path)
    deviation = math.sqrt(((90 - 93) ** 2 + (92 - 93) ** 2 + (97 - 93) ** 2) / 2)
    assert text.startswith("# x: 3 seeds, weights gpt2-mini\n")
    assert f"| test | 93.00 | {deviation:.2f} | 90.00 | 97.00 |" in text
    written = (tmp_path / "seeds_x_3.md").read_text()
    assert written == f"{text}\n![Accuracy of each seed](seeds_x_3.png)\n"
    assert (tmp_path / "seeds_x_3.png").read_bytes().startswith(b"\x89PNG")


def test_a_report_of_fewer_seeds_leaves_that_of_five_alone(tmp_path: Path) -> None:
    seeded = [row("x", 0.9 + s / 100, overrides={"finetune.seed": s}) for s in range(5)]
    write_seeds("x", seeded, tmp_path)
    five = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert set(five) == {"seeds_x.md", "seeds_x.png"}
    write_seeds("x", seeded[:2], tmp_path)
    both = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert {name: both.pop(name) for name in five} == five
    assert set(both) == {"seeds_x_2.md", "seeds_x_2.png"}


def test_the_picture_shows_leak_only_where_there_is_some() -> None:
    published = Published(row=1, train=96.63, validation=99.33, test=95.0, minutes=0.28)
    leaky = {"messages": 4, "accuracy": 0.75}
    rows = [
        row("book", 0.875, published=published, unseen=leaky),
        row("own", 0.5),
        row("xl", 0.875, unseen=leaky, overrides={"fetch_gpt2.size": "1558M"}, weights="gpt2-mini"),
    ]
    nan = pytest.approx(math.nan, nan_ok=True)
    assert picture_series(frame(rows)) == {
        "here, gpt2-124M": [87.5, 50.0, nan],
        "published, GPT-2's own weights": [95.0, nan, nan],
        "here, without messages that stand in train, too": [75.0, nan, nan],
    }
    assert picture_names(frame(rows)) == ["book", "own", "xl (not fetched)"]
    assert list(picture_series(frame([row("own", 0.5)]))) == ["here, gpt2-124M"]


def drawn_dots(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What pictures of dots are asked to show, from here on."""
    asked: list[dict[str, Any]] = []
    save = results_table.save_dots

    def watched(path: Path, names: list[str], points: dict, **options: Any) -> None:
        asked.append({"names": names, "points": points, **options})
        save(path, names, points, **options)

    monkeypatch.setattr(results_table, "save_dots", watched)
    return asked


def test_the_picture_of_experiments_has_intervals_where_they_are_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, order, asked = tmp_path / "table.md", ["old", "new", "xl"], drawn_dots(monkeypatch)
    write_table([row("old", 0.5)], order, path)
    csv_path = path.with_suffix(".csv")
    older = pd.read_csv(csv_path).drop(columns=["test low %", "test high %"])
    older.to_csv(csv_path, index=False)  # as a version without intervals wrote it
    xl = row(
        "xl", 0.5, overrides={"fetch_gpt2.size": "1558M"}, weights="gpt2-mini", interval=[0.4, 0.6]
    )
    write_table([row("new", 0.95, interval=[0.92, 0.975]), xl], order, path)
    assert asked[-1]["names"] == ["old", "new", "xl (not fetched)"]
    nan = pytest.approx((math.nan, math.nan), nan_ok=True)
    assert asked[-1]["intervals"] == {next(iter(asked[-1]["points"])): [nan, (92.0, 97.5), nan]}
    assert "test low %" not in path.read_text(encoding="utf-8")


def test_the_picture_of_seeds_has_students_interval_of_the_mean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = drawn_dots(monkeypatch)
    shares = {1: 0.90, 2: 0.92, 3: 0.97}
    rows = [
        row("x", share, overrides={"finetune.seed": seed}, interval=[share - 0.04, share + 0.02])
        for seed, share in shares.items()
    ]
    write_seeds("x", rows, tmp_path)
    [picture] = asked
    assert picture["names"] == ["seed 1", "seed 2", "seed 3", "mean of 3"]
    assert picture["points"]["test"] == pytest.approx([90, 92, 97, 93])
    reach = 4.302653 * math.sqrt(26 / 2) / math.sqrt(3)  # t of 2 degrees of freedom, 97.5 %
    *seeds, mean = picture["intervals"]["test"]
    assert seeds == [pytest.approx((100 * s - 4, 100 * s + 2)) for s in shares.values()]
    assert mean == pytest.approx((93 - reach, 93 + reach), abs=1e-4)
    *seeds, mean = picture["intervals"]["train"]
    assert all(math.isnan(bound) for pair in seeds for bound in pair)
    assert mean == pytest.approx((93 - reach, 93 + reach), abs=1e-4)


@pytest.mark.parametrize(
    ("cores", "jobs", "allowed", "threads"),
    [(8, 2, None, 4), (8, 3, None, 2), (2, 3, None, 1), (8, 2, "1", 1), (8, 2, "6,2", 4)],
)
def test_experiments_side_by_side_share_the_cores(
    monkeypatch: pytest.MonkeyPatch, cores: int, jobs: int, allowed: str | None, threads: int
) -> None:
    """Of those that this process may use, and never more than its user allows."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(cores)), raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if allowed:
        monkeypatch.setenv("OMP_NUM_THREADS", allowed)
    assert share_of_cores(jobs) == threads

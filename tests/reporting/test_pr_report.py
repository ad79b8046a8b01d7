"""The pull request's comment, from two real commits to Markdown and pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from folded import cross_validation
from rendered import Table, tables
from repository import FIGURES, PARAMS, Repository, gpt2_metrics, lock, wilson

from spam_gpt2.figures.confusion import save_confusion_matrix
from spam_gpt2.reporting.movements import estimates
from spam_gpt2.reporting.pr_report import main, report
from spam_gpt2.reporting.revisions import at_merge_base, in_working_tree

GITHUB_LIMIT = 65_536
OLD = [[8, 2], [3, 7]]
NOTHING_CHANGES = "Nothing changes: metrics, parameters and confusion matrices are the same."
BASELINE = gpt2_metrics([[10, 0], [0, 10]]) | {"model": "TF-IDF"}
del BASELINE["weights"], BASELINE["weights_sha256"]


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """A project whose pipeline has run; it is the working folder."""
    it = Repository(tmp_path / "project")
    it.start(gpt2_metrics(OLD), baseline=BASELINE)
    monkeypatch.chdir(it.root)
    return it


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> str:
    """The comment that the command line writes."""
    monkeypatch.setattr("sys.argv", ["pr_report", *arguments])
    main()
    return Path("pr-report/comment.md").read_text(encoding="utf-8")


def compare(repository: Repository, base: str = "main") -> str:
    """The report's text alone."""
    return "\n\n".join(
        report(at_merge_base(repository.root, base), in_working_tree(repository.root))
    )


def error_of(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, *arguments) -> str:
    """The one line that the command line ends with."""
    with pytest.raises(SystemExit) as caught:
        run(monkeypatch, *arguments)
    assert caught.value.code == 1
    [line] = capsys.readouterr().err.splitlines()
    return line.removeprefix("error: ")


def table_with(comment: str, first: str) -> Table:
    """The only table that has a row which begins so."""
    [found] = [table for table in tables(comment) if first in table]
    return found


def test_two_commits_are_compared(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    base = repository.git("rev-parse", "--short", "HEAD")
    repository.git("switch", "-qc", "branch")
    changed = PARAMS | {"finetune": PARAMS["finetune"] | {"epochs": 3}}
    repository.write("metrics/gpt2.json", gpt2_metrics([[9, 1], [3, 7]], loss=0.8, recall=0.85))
    repository.write("params.yaml", changed)
    repository.write("dvc.lock", lock(params=changed))
    head = repository.commit()
    comment = run(monkeypatch, "--base", "main")
    sides = table_with(comment, "before")
    assert sides["before"] == [f"{base}", "gpt2-mini 5f825f825f82"]
    assert head.startswith(sides["after"][0])
    figures = table_with(comment, "gpt2-mini: accuracy")
    assert figures["gpt2-mini: accuracy"] == ["0.7500", "0.8000", "▲ +0.0500 noise"]
    assert figures["gpt2-mini: recall"] == ["0.9000", "0.8500", "▼ -0.0500 worse"]
    assert figures["gpt2-mini: loss"] == ["0.9000", "0.8000", "▼ -0.1000 better"]
    assert figures["gpt2-mini: f1"] == ["0.9000", "0.9000", "="]
    assert len(figures) == 1 + len(FIGURES)  # nothing of the baseline, which is the same
    assert table_with(comment, "finetune.epochs")["finetune.epochs"] == ["5", "3"]
    matrix = table_with(comment, "true \\ predicted")
    assert matrix["ham"] == ["8 → 9 (+1)", "2 → 1 (-1)"]
    assert matrix["spam"] == ["3", "7"]
    unchanged = "gpt2-mini (validation), TF-IDF (validation, test)"
    assert f"Unchanged: {unchanged}." in comment
    assert "WARNING" not in comment


def test_the_working_tree_is_compared(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.write("metrics/gpt2.json", gpt2_metrics([[7, 3], [3, 7]], loss=1.0))
    comment = run(monkeypatch)
    assert table_with(comment, "after")["after"][0].startswith("working tree on ")
    figures = table_with(comment, "gpt2-mini: loss")
    assert figures["gpt2-mini: loss"] == ["0.9000", "1.0000", "▲ +0.1000 worse"]
    assert "test accuracy falls from 75.00% (15 of 20) to 70.00% (14 of 20)" in comment


def test_a_shallow_clone_of_a_merge_is_enough(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.git("switch", "-qc", "branch")
    repository.write("metrics/gpt2.json", gpt2_metrics([[9, 1], [3, 7]]))
    repository.commit()
    repository.git("switch", "-q", "main")
    tip = repository.commit(notes="main goes on")
    repository.git("merge", "-q", "--no-ff", "-m", "as GitHub merges to test", "branch")
    clone = Repository(tmp_path / "clone", clone_of=repository.root, depth=2)
    monkeypatch.chdir(clone.root)
    comment = run(monkeypatch, "--base", "HEAD^1")
    assert tip.startswith(table_with(comment, "before")["before"][0])
    assert table_with(comment, "true \\ predicted")["ham"] == ["8 → 9 (+1)", "2 → 1 (-1)"]


def holdout(wrong: int, total: int = 4080) -> dict[str, Any]:
    """A metrics file as `evaluate_holdout` writes it."""
    share = {"false_positives": wrong, "false_positive_rate": round(wrong / total, 6)}
    return {"ham": {"messages": total, **share, "interval": wilson(wrong, total)}}


def calibrated(wrong: int, total: int = 4231) -> dict[str, Any]:
    """Of 1,000 messages with 866 ham; the same rate stands there once more."""
    bounds = [round(866 * bound, 3) for bound in wilson(wrong, total)]
    ham = {"messages": 866.0, "wrong": 866 * wrong / total, "interval": bounds}
    rate = {"false_positive_rate": round(wrong / 4080, 6)}
    found = {**rate, "intervals": {"false_positive_rate": wilson(wrong, 4080)}}
    return {"decision": {"ham": ham}, "argmax": {"holdout": found}}


def test_what_moved_beyond_its_interval_comes_first(repository: Repository) -> None:
    """The hold-out's rate, 5.56 to 3.92 %, not one test message more or less."""
    repository.write("metrics/gpt2.json", gpt2_metrics([[145, 6], [8, 143]]))
    for stem, metrics in (("holdout", holdout(227)), ("calibration", calibrated(227))):
        repository.write(f"metrics/{stem}.json", metrics)
    repository.commit()
    repository.write("metrics/gpt2.json", gpt2_metrics([[146, 5], [8, 143]]))
    for stem, metrics in (("holdout", holdout(160)), ("calibration", calibrated(160))):
        repository.write(f"metrics/{stem}.json", metrics)
    comment = compare(repository)
    title, heading, sentence, *_ = filter(None, comment.splitlines())
    assert (title, heading) == ("## What this changes in the results", "### What moved")
    assert sentence == "**Beyond its interval**, 2 of the 3 figures that changed:"
    beyond, noise, *_ = tables(comment)
    shares = [wilson(n, 4080) for n in (160, 227)]
    low = -np.hypot(160 / 4080 - shares[0][0], shares[1][1] - 227 / 4080) + (160 - 227) / 4080
    high = np.hypot(shares[0][1] - 160 / 4080, 227 / 4080 - shares[1][0]) + (160 - 227) / 4080
    assert list(beyond)[1:] == [
        "holdout: ham.false_positive_rate",
        "calibration: of 1,000 messages, ham mistaken",
    ]
    assert list(beyond.values())[1] == [
        "5.6 %", "3.9 %", "▼ -1.6 better", f"{100 * low:+.1f} to {100 * high:+.1f}",
    ]  # fmt: skip
    assert list(beyond.values())[2][2] == "▼ -13.7 better"
    assert noise["gpt2-mini: test.accuracy"][2] == "▲ +0.3 noise"
    assert comment.index("Noise: 1 figure moved within the interval") < comment.index("| revision")
    assert "so that chance may explain it: noise." in comment
    assert table_with(comment, "gpt2-mini: accuracy")["gpt2-mini: accuracy"][2].endswith(" noise")
    listed = [table for table in tables(comment) if "ham.false_positive_rate" in table]
    assert listed[0]["ham.false_positive_rate"][2] == "▼ -0.0164 better"


def test_where_nothing_did_all_is_named_noise(repository: Repository) -> None:
    repository.write("metrics/holdout.json", holdout(227))
    repository.commit()
    repository.write("metrics/holdout.json", holdout(215))
    repository.write("metrics/gpt2.json", gpt2_metrics([[9, 1], [3, 7]]))
    comment = compare(repository)
    assert "**Nothing moved beyond its interval.** Figures that changed: 2; chance may" in comment
    assert "**Beyond its interval**" not in comment
    assert "Noise: 2 figures moved within the interval" in comment
    [moved] = [table for table in tables(comment) if "gpt2-mini: test.accuracy" in table]
    assert [row[2].split()[-1] for row in list(moved.values())[1:]] == ["noise", "noise"]
    listed = [table for table in tables(comment) if "ham.false_positive_rate" in table]
    assert listed[0]["ham.false_positive_rate"][2] == "▼ -0.0029 noise"


def test_an_accuracy_below_a_count_of_messages_needs_no_interval_of_its_own(
    repository: Repository,
) -> None:
    def robustness(upper_case: float, lower_case: float) -> dict[str, Any]:
        writings = {"upper_case": upper_case, "lower_case": lower_case}
        return {"messages": 302, "gpt2": {k: {"accuracy": v} for k, v in writings.items()}}

    repository.write("metrics/robustness.json", robustness(0.95, 0.95))
    repository.commit()
    repository.write("metrics/robustness.json", robustness(0.71, 0.94))
    beyond, noise, *_ = tables(compare(repository))
    assert beyond["robustness: gpt2.upper_case.accuracy"][2] == "▼ -24.0 worse"
    assert list(noise)[1:] == ["robustness: gpt2.lower_case.accuracy"]


@pytest.mark.parametrize("metrics", [
    {"messages": "many", "a": {"accuracy": 0.5}},
    {"messages": 5, "a": {"accuracy": None}},
    {"test": 3, "test_intervals": {"accuracy": [0, 1]}},
    {"accuracy": 0.5, "interval": "wide", "intervals": [1, 2]},
])  # fmt: skip
def test_a_metrics_file_of_another_make_has_no_estimates(metrics: dict[str, Any]) -> None:
    assert list(estimates(metrics)) == []


def test_what_gets_worse_beyond_its_interval_is_called_worse(repository: Repository) -> None:
    repository.write("metrics/gpt2.json", gpt2_metrics([[5, 95], [95, 5]]))
    repository.commit()
    repository.write("metrics/gpt2.json", gpt2_metrics([[5, 95], [98, 2]]))
    assert "**Nothing moved beyond its interval.**" in compare(repository)
    repository.write("metrics/gpt2.json", gpt2_metrics([[0, 100], [100, 0]]))
    moved, *_ = tables(compare(repository))
    assert moved["gpt2-mini: test.accuracy"][:3] == ["5.0 %", "0.0 %", "▼ -5.0 worse"]


def test_without_a_change_there_is_one_sentence(repository: Repository) -> None:
    repository.write("metrics/gpt2.json", gpt2_metrics(OLD, loss=0.90004, f1=0.89996))
    comment = compare(repository)
    assert comment.endswith(f"\n\n{NOTHING_CHANGES}")
    assert [list(table) for table in tables(comment)] == [["", "before", "after"]]


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        (
            [[48, 12], [20, 0]],
            [[56, 14], [0, 0]],
            "test accuracy rises from 60.00% (48 of 80) to 80.00% (56 of 70). The difference, "
            "+20.00 points, is **larger than its 95% interval**: +5.24 to +33.39 excludes 0, so "
            "that chance does not explain it.",
        ),
        (
            [[0, 29], [0, 0]],
            [[5, 1], [50, 0]],
            "test accuracy rises from 0.00% (0 of 29) to 8.93% (5 of 56). The difference, +8.93 "
            "points, is **not larger than its 95% interval**: -3.81 to +19.26 contains 0, so that "
            "chance may explain it: noise.",
        ),
        (
            [[5, 5], [5, 5]],
            [[6, 4], [6, 4]],
            "test accuracy stays at 50.00% (10 of 20). The "
            "difference, +0.00 points, is **not larger than its 95% interval**: ",
        ),
    ],
    ids=["larger", "not larger", "equal"],
)
def test_a_sentence_tells_change_from_chance(
    repository: Repository,
    monkeypatch: pytest.MonkeyPatch,
    before: list,
    after: list,
    sentence: str,
) -> None:
    repository.write("metrics/gpt2.json", gpt2_metrics(before))
    repository.commit()
    repository.write("metrics/gpt2.json", gpt2_metrics(after))
    assert f"**gpt2-mini**: {sentence}" in compare(repository)


@pytest.mark.parametrize(
    ("after", "is_said", "is_not"),
    [
        (lock("aaaa"), "classify the same messages, for which they are conservative", "WARNING"),
        (lock("bbbb"), "**The test sets differ**", "conservative"),
        ({"schema": "2.0"}, "does not say whether both sides classify the same", "WARNING"),
    ],
    ids=["same", "different", "unknown"],
)
def test_it_is_said_whether_the_test_sets_are_the_same(
    repository: Repository, after: dict, is_said: str, is_not: str
) -> None:
    repository.write("metrics/gpt2.json", gpt2_metrics([[9, 1], [3, 7]]))
    repository.write("dvc.lock", after)
    comment = compare(repository)
    assert is_said in comment
    assert is_not not in comment


@pytest.mark.parametrize(
    "other", [{"weights": "gpt2-124M"}, {"sha256": "0123456789ab" * 5 + "cdef"}]
)
def test_different_weights_are_said_first(repository: Repository, other: dict[str, str]) -> None:
    repository.write("metrics/gpt2.json", gpt2_metrics([[9, 1], [3, 7]], **other))
    title, mark, text, *_ = filter(None, compare(repository).splitlines())
    assert title.startswith("## ")
    assert mark == "> [!WARNING]"
    name, digest = other.get("weights", "gpt2-mini"), other.get("sha256", "5f825f825f82")[:12]
    before = "gpt2-mini `5f825f825f82` before"
    assert text.startswith("> **The two sides are made with different weights**: ")
    assert f": {before}, {name} `{digest}` after." in text


def test_the_stand_in_is_named_as_such_and_real_weights_are_not(repository: Repository) -> None:
    note = "gpt2-mini is the small stand-in: its figures say nothing about GPT-2."
    assert note in compare(repository)
    repository.write("metrics/gpt2.json", gpt2_metrics(OLD, weights="gpt2-124M"))
    repository.commit()
    assert "stand-in" not in compare(repository)


def test_results_of_other_parameters_are_a_warning(repository: Repository) -> None:
    repository.write("params.yaml", PARAMS | {"finetune": PARAMS["finetune"] | {"epochs": 3}})
    comment = compare(repository)
    assert "> **The results are not those of `params.yaml`**: " in comment
    assert "values of `finetune.epochs`. Run `dvc repro`" in comment


def test_a_new_and_a_removed_metrics_file(repository: Repository) -> None:
    (repository.root / "metrics/baseline.json").unlink()
    repository.write("metrics/holdout.json", {"ham": {"messages": 40, "false_positives": 2}})
    comment = compare(repository)
    assert "<code>metrics/baseline.json</code> (gone): " in comment
    assert "<code>metrics/holdout.json</code> (new): 2 changed" in comment
    assert table_with(comment, "ham.messages")["ham.messages"] == ["–", "40", ""]
    assert "**TF-IDF**: without the test set's counts on both sides, nothing tells a" in comment
    assert "**TF-IDF, test**\n\nbefore:\n\n" in comment


def test_a_base_without_counts_shows_those_of_the_change(repository: Repository) -> None:
    old = gpt2_metrics(OLD)
    del old["confusion"], old["labels"]
    repository.write("metrics/gpt2.json", old)
    repository.commit()
    repository.write("metrics/gpt2.json", gpt2_metrics(OLD))
    comment = compare(repository)
    assert "**gpt2-mini**: without the test set's counts on both sides, nothing tells" in comment
    assert "**gpt2-mini, test**\n\nafter:\n\n" in comment
    matrix, *_ = [table for table in tables(comment) if "true \\ predicted" in table]
    assert (matrix["ham"], matrix["spam"]) == (["8", "2"], ["3", "7"])


def test_three_classes(repository: Repository) -> None:
    labels = {"labels": ["ham", "news|letter", "spam"]}
    for matrix in ([[5, 1, 0], [2, 6, 1], [0, 0, 7]], [[7, 0, 1], [2, 6, 1], [0, 3, 4]]):
        metrics = gpt2_metrics(matrix) | labels | {"confusion": {"test": matrix}}
        repository.write("metrics/gpt2.json", metrics)
        repository.commit()
    repository.git("tag", "old", "HEAD~1")
    comment = compare(repository, "old")
    matrix = table_with(comment, "true \\ predicted")
    assert matrix["true \\ predicted"] == ["ham", "news|letter", "spam"]
    assert matrix["ham"] == ["5 → 7 (+2)", "1 → 0 (-1)", "0 → 1 (+1)"]
    assert matrix["news|letter"] == ["2", "6", "1"]
    assert matrix["spam"] == ["0", "0 → 3 (+3)", "7 → 4 (-3)"]
    assert "from 81.82% (18 of 22) to 70.83% (17 of 24)" in comment


def test_other_labels_are_not_subtracted(repository: Repository) -> None:
    metrics = gpt2_metrics([[9, 1], [3, 7]]) | {"labels": ["no", "yes"]}
    repository.write("metrics/gpt2.json", metrics)
    comment = compare(repository)
    assert "→ 9" not in comment
    matrices = [table for table in tables(comment) if "true \\ predicted" in table]
    assert [list(table)[1:] for table in matrices[:2]] == [["ham", "spam"], ["no", "yes"]]
    assert (matrices[0]["ham"], matrices[1]["no"]) == (["8", "2"], ["9", "1"])


def test_metrics_are_listed_when_they_change_by_more_than_rounding(repository: Repository) -> None:
    metrics = gpt2_metrics(OLD, f1=0.90004, precision=0.9002)
    low, high = metrics["test_intervals"]["accuracy"]
    metrics["test_intervals"]["accuracy"] = [0.51, high]
    listed_mistakes = {"mistakes": [{"text": "a | b"}, {"text": "c"}]}
    repository.write("metrics/gpt2.json", metrics | {"steps": 655} | listed_mistakes)
    comment = compare(repository)
    listed = table_with(comment, "test.precision")
    assert listed == {
        "metric": ["before", "after", "change"],
        "test.precision": ["0.9000", "0.9002", "▲ +0.0002 better"],
        "test_intervals.accuracy": [f"[{low:.4f}, {high:.4f}]", f"[0.5100, {high:.4f}]", ""],
        "steps": ["–", "655", ""],
        "mistakes": ["–", "2 entries", ""],
    }
    assert comment.count("<details>") == comment.count("</details>") == 1


def test_parameters_of_every_kind(repository: Repository) -> None:
    for values in (
        {"gone": True, "null": None, "list": ["a|b", "c"], "text": "old", "same": 0.1},
        {"new": 1.5, "null": 2, "list": ["a|b"], "text": "null", "same": 0.1},
    ):
        repository.write("params.yaml", {"section": values})
        repository.commit()
    found = table_with(compare(repository, "HEAD~1"), "section.text")
    assert found == {
        "": ["before", "after"],
        "section.gone": ["true", "–"],
        "section.null": ["null", "2"],
        "section.list": ['["a|b", "c"]', '["a|b"]'],
        "section.text": ["old", "null"],
        "section.new": ["–", "1.5"],
    }


def test_a_long_report_is_cut_to_what_github_takes(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = {f"figure_{i:05}": i for i in range(3000)}
    repository.write("metrics/many.json", many)
    repository.write("metrics/new.json", {"last": 1})
    comment = run(monkeypatch)
    assert len(comment) < GITHUB_LIMIT
    assert "figure_00000" not in comment
    assert "metrics/new.json" in comment  # a shorter section after the one that is left out
    assert "What is left out is in `full.md`" in comment
    whole = Path("pr-report/full.md").read_text(encoding="utf-8")
    assert len(whole) > GITHUB_LIMIT
    assert all(name in whole for name in (*many, "last"))
    (repository.root / "metrics/many.json").unlink()
    assert "full.md" not in run(monkeypatch)
    assert not Path("pr-report/full.md").exists()


def test_pictures_show_the_matrices_of_their_side(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    stale = repository.root / "pr-report/before/gpt2_confusion_gone.png"
    stale.parent.mkdir(parents=True)
    stale.touch()
    new = [[9, 1], [4, 6]]
    repository.write("metrics/gpt2.json", gpt2_metrics(new))
    run(monkeypatch)
    names = [
        f"{stem}_confusion_{split}.png"
        for stem in ("baseline", "gpt2")
        for split in ("test", "validation")
    ]
    for side, counts in (("before", OLD), ("after", new)):
        folder = repository.root / "pr-report" / side
        assert sorted(path.name for path in folder.iterdir()) == names
        expected = repository.root / "expected.png"
        title = f"Confusion matrix of the classifier (test, counts), {side}"
        labels = ["ham", "spam"]
        save_confusion_matrix(
            expected, np.array(counts), labels, title, normalized=False, note="gpt2-mini"
        )
        assert (folder / "gpt2_confusion_test.png").read_bytes() == expected.read_bytes()


def test_an_unknown_base_is_one_line(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    line = error_of(monkeypatch, capsys, "--base", "nowhere")
    assert line == "nowhere: git knows no such revision"
    assert not Path("pr-report").exists()


def test_a_folder_without_metrics_is_one_line(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(repository.root / "metrics")
    line = error_of(monkeypatch, capsys)
    assert line == "metrics/: no file on either side; run this in the project's folder"


def test_no_repository_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert "not a git repository" in error_of(monkeypatch, capsys)


def test_a_place_that_cannot_be_written_is_one_line(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    repository.write("file", "in the way")
    line = error_of(monkeypatch, capsys, "--output", "file/comment.md")
    assert line.startswith("file/")
    assert line.endswith(": Not a directory")


def test_a_change_is_real_by_the_folds_or_not(repository: Repository) -> None:
    repository.commit(**{"metrics/cross_validation__json": cross_validation()})
    base = repository.git("rev-parse", "HEAD")
    repository.write("metrics/cross_validation.json", cross_validation((10, 5, 9, 7, 10, 8)))
    comment = compare(repository, base)
    assert "### By the folds" in comment
    assert "is **real by the folds**" in comment
    moved = comment[comment.index("### What moved") : comment.index("### By the folds")]
    assert "gpt2-mini by the folds: balanced accuracy" in moved


def test_folds_on_one_side_alone_are_no_comparison(repository: Repository) -> None:
    repository.write("metrics/cross_validation.json", cross_validation())
    assert "By the folds" not in compare(repository)

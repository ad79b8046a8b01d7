"""The whole pipeline by real `dvc repro`, in a temporary clone, on a tiny checkpoint."""

from __future__ import annotations

import csv
import re
import shutil
import sqlite3
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from clone import TARGETS, Clone, write_messages
from conftest import ROOT

from spam_gpt2.gpt2.weights import load_tensors

ANALYSES = tuple(
    f"reports/dvc.yaml:{stage}"
    for stage in (
        "calibrate",
        "compare",
        "robustness",
        "explain",
        "learning_curve",
        "cross_validate",
        "evaluate_external",
    )
)


def small_clone(folder: Path, checkpoint_dir: Path) -> Clone:
    """A clone with 300 messages, set up for a stand-in that is learnt fast."""
    made = Clone(folder, checkpoint_dir)
    write_messages(folder / "messages.csv", ["ham", "spam"], {"ham": 200, "spam": 100})
    made.set(
        prepare__path="messages.csv",
        prepare__quoting="default",
        fetch_gpt2__sources=[str(folder / "no-such-folder")],
        finetune__learning_rate=0.01,
        finetune__epochs=2,
        evaluate__resamples=100,
        learning_curve__sizes=[40, 1000],
        learning_curve__repeats=1,
        cross_validate__folds=3,
    )
    made.run("git", "add", "--all")
    made.run("git", "commit", "-qm", "start")
    return made


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint_dir: Path) -> Clone:
    return small_clone(tmp_path_factory.mktemp("clone"), tiny_checkpoint_dir)


OUTPUTS = ("data", "metrics", "plots", "models/classifier", "reports/probe.md")


def test_the_pipeline_runs_once_and_then_has_nothing_to_do(clone: Clone) -> None:
    assert len(clone.repro()) == 13
    gpt2 = clone.json("metrics/gpt2.json")
    assert gpt2["weights"] == "gpt2-mini"
    assert clone.json("metrics/data.json")["splits"]["holdout"]["ham"] == 100
    assert clone.json("metrics/holdout.json")["ham"]["messages"] == 100
    assert gpt2["train"]["accuracy"] > 0.9  # the words give every message away
    assert clone.repro() == []


def drawn(clone: Clone, *command: str) -> tuple[set[str], set[str]]:
    """Of plots/dvc.yaml, the titles in the page that `dvc plots` writes, and those not in it."""
    page = clone.folder / "dvc_plots/index.html"
    page.unlink(missing_ok=True)
    clone.run("dvc", "plots", *command)
    content = page.read_text()
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", content)  # opens without internet
    entries = yaml.safe_load((clone.folder / "plots/dvc.yaml").read_text())["plots"]
    titles = {entry if isinstance(entry, str) else next(iter(entry)) for entry in entries}
    found = {title for title in titles if title in content}
    return found, titles - found


def test_a_new_clone_draws_all_but_the_analyses(clone: Clone) -> None:
    """It has their lock file and nothing of what that speaks of."""
    clone.repro("plots_page")
    lock = clone.folder / "reports/dvc.lock"
    shutil.copyfile(ROOT / "reports/dvc.lock", lock)
    found, missing = drawn(clone, "show")
    lock.unlink()
    assert "gpt2/confusion_test.png" in found
    assert len(found) > 10
    entries = yaml.safe_load((clone.folder / "plots/dvc.yaml").read_text())["plots"]
    folders = r"\b(calibrate|cross_validate|compare|robustness|explain|learning_curve)/"
    of_analyses = [entry for entry in entries if re.search(folders, str(entry))]
    assert missing == {next(iter(entry)) for entry in of_analyses}


def test_the_analyses_are_of_the_same_weights_and_test_messages(clone: Clone) -> None:
    assert sorted(clone.repro(*ANALYSES)) == sorted(ANALYSES)
    gpt2 = clone.json("metrics/gpt2.json")
    names = (
        "calibration",
        "comparison",
        "robustness",
        "errors",
        "learning_curve",
        "cross_validation",
    )
    found = {name: clone.json(f"metrics/{name}.json") for name in names}
    assert {metrics["weights"] for metrics in found.values()} == {"gpt2-mini"}
    accuracy = pytest.approx(gpt2["test"]["accuracy"], abs=1e-6)
    assert found["calibration"]["argmax"]["test"]["accuracy"] == accuracy
    assert found["robustness"]["gpt2"]["unchanged"]["accuracy"] == accuracy
    assert set(found["learning_curve"]["gpt2"]) == {"40", "140"}
    assert found["learning_curve"]["gpt2"]["140"]["mean"] == accuracy  # trained as in finetune
    folds = found["cross_validation"]
    assert [sum(row) for row in folds["gpt2"]["counts"]] == [200, 100]  # each message once
    assert folds["gpt2"]["balanced_accuracy"]["mean"] > 0.9
    assert folds["baseline"]["balanced_accuracy"]["mean"] > 0.9
    mistakes = len(clone.json("reports/errors.json")["mistakes"])
    assert found["errors"]["mistakes"]["total"] >= mistakes
    baseline = clone.json("metrics/baseline.json")["test"]["accuracy"]
    difference = gpt2["test"]["accuracy"] - baseline
    assert found["comparison"]["test"]["accuracy_difference"] == pytest.approx(difference, abs=2e-6)
    assert found["calibration"]["at_threshold"]["validation"]["false_positive_rate"] <= 0.01
    ham, spam = found["calibration"]["decision"].values()
    assert ham["messages"] + spam["messages"] == pytest.approx(1000, abs=2e-3)
    assert ham["seen"] == sum(gpt2["confusion"]["test"][0]) + 100  # and the hold-out
    assert found["calibration"]["at_threshold"]["holdout"].keys() == {
        "false_positive_rate", "intervals",
    }  # fmt: skip
    check_decision(clone, found["calibration"])
    assert drawn(clone, "show")[1] == set()


def check_decision(clone: Clone, calibration: dict[str, Any]) -> None:
    """What the analyses judged is what is saved and what the command line does."""
    decision = clone.json("models/decision/decision.json")
    assert decision["threshold"] == calibration["threshold"]["value"]
    assert decision["temperature"] == calibration["calibration"]["temperature"]
    spam = calibration["decision"]["spam"]["messages"] / 1000
    assert decision["shares"] == pytest.approx([1 - spam, spam], abs=1e-5)
    assert decision["training_shares"] == pytest.approx([0.5, 0.5], abs=0.01)
    out = clone.folder / "labelled.csv"
    clone.run(sys.executable, "-m", "spam_gpt2", "--csv", "data/prepared/test.csv",
              "--output", str(out))  # fmt: skip
    with out.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    out.unlink()
    of_spam = [row["predicted"] == "spam" for row in rows if row["label"] == "spam"]
    recall = calibration["at_threshold"]["test"]["recall"]
    assert sum(of_spam) / len(of_spam) == pytest.approx(recall, abs=1e-6)


def test_what_a_new_clone_lacks_is_made_though_the_lock_file_knows_it(clone: Clone) -> None:
    runs = len(_mlflow_runs(clone))
    (clone.folder / "reports/tracked.txt").unlink()  # what git does not bring
    assert clone.repro() == ["track"]
    assert len(_mlflow_runs(clone)) == runs + 1


def test_a_changed_learning_rate_reruns_finetuning_and_what_follows(clone: Clone) -> None:
    clone.set(finetune__learning_rate=0.005)
    ran = clone.repro()
    assert ran == ["check_params", "finetune", "evaluate", "track", "evaluate_holdout"]


def test_more_processes_train_again_and_compute_no_features(clone: Clone) -> None:
    clone.set(compute__processes=2)
    ran = clone.repro()
    assert ran == ["check_params", "finetune", "evaluate", "track", "evaluate_holdout"]
    assert clone.json("metrics/training.json")["processes"] == 2
    clone.set(compute__processes=None)
    clone.repro()


def test_what_is_trained_decides_what_is_computed_beforehand(clone: Clone) -> None:
    clone.set(finetune__trainable="last_two_blocks")
    ran = clone.repro("track")
    assert ran == [
        "check_params", "plan_features", "extract_features", "finetune", "evaluate", "track"
    ]  # fmt: skip
    trained = load_tensors(clone.folder / "models/classifier/classifier.safetensors")
    before = load_tensors(clone.folder / "models/gpt2/weights.safetensors")
    for block in (1, 2):  # of three
        name = f"h.{block}.mlp.c_fc.weight"
        assert not torch.equal(trained[f"gpt2.{name}"], before[name])
    clone.set(finetune__trainable="last_block")
    clone.set(classifier__position="first_token")  # the same plan: the cache has its features
    assert "extract_features" not in clone.repro("track")
    clone.set(classifier__position="last_token")
    clone.repro()


def test_the_same_inputs_give_the_same_bytes(clone: Clone) -> None:
    before = clone.digests(*OUTPUTS)
    stages = ("prepare", "extract_features", "finetune", "evaluate", "baseline")
    clone.run("dvc", "repro", "--single-item", "--force", *stages)
    assert clone.digests(*OUTPUTS) == before


def test_an_unknown_key_stops_the_pipeline_before_any_work(clone: Clone) -> None:
    before = (clone.folder / "params.yaml").read_text()
    clone.set(finetune__learning_rat=1.0)
    output = clone.run("dvc", "repro", *TARGETS, check=False)
    (clone.folder / "params.yaml").write_text(before)
    assert "error: params.yaml: finetune.learning_rat: unknown key" in output
    assert output.count("Running stage") == 1
    assert "Traceback" not in output


def test_an_experiment_by_dvc_changes_one_parameter_and_is_in_mlflow(clone: Clone) -> None:
    clone.run("git", "add", "--all")
    clone.run("git", "commit", "-qm", "results")
    output = clone.run("dvc", "exp", "run", "-n", "slow", "-S", "finetune.epochs=1", *TARGETS[:1])
    assert "Ran experiment" in output
    assert "Running stage 'extract_features'" not in output
    changed = clone.answer("dvc", "params", "diff", "--json")
    assert changed["params.yaml"]["finetune.epochs"] == {"old": 2, "new": 1, "diff": -1}
    metrics = clone.answer("dvc", "metrics", "diff", "--json")
    assert metrics["metrics/training.json"]["steps"]["diff"] < 0
    assert "slow" in _mlflow_tags(clone)
    assert drawn(clone, "diff", "HEAD", "slow")[1] == set()
    page = (clone.folder / "dvc_plots/index.html").read_text()
    assert {'"rev": "HEAD"', '"rev": "slow"'} <= set(re.findall(r'"rev": "\w+"', page))


def _mlflow_runs(clone: Clone) -> list[str]:
    return _mlflow_column(clone, "select run_uuid from runs")


def _mlflow_tags(clone: Clone) -> list[str]:
    return _mlflow_column(clone, "select value from tags where key = 'dvc_experiment'")


def _mlflow_column(clone: Clone, query: str) -> list[str]:
    with sqlite3.connect(clone.folder / "mlflow.db") as store:
        return [value for (value,) in store.execute(query)]


def test_named_experiments_leave_the_workspace_alone_and_end_in_a_table(clone: Clone) -> None:
    experiments = {
        "head": {"about": "the head", "set": {"finetune.trainable": "head_only"}},
        "first": {"about": "the first token", "set": {"classifier.position": "first_token"}},
    }
    group = {"about": "two", "common": {"finetune.epochs": 1}, "experiments": experiments}
    spec = yaml.safe_dump({"few": group}, sort_keys=False)
    (clone.folder / "experiments.yaml").write_text(spec)
    clone.repro("track")
    clone.run("git", "add", "--all")
    clone.run("git", "commit", "-qm", "two experiments")
    clone.run(sys.executable, "-m", "spam_gpt2.experiments", "--jobs", "2")
    with (clone.folder / "reports/experiments.csv").open() as file:
        head, first = csv.DictReader(file)
    assert (head["experiment"], first["experiment"]) == ("head", "first")
    assert head["trained parameters"] == str(2 * 32 + 2)
    assert head["features recomputed"] == "yes"
    assert first["features recomputed"] == "no"  # what enters the last block is the same
    assert "params.yaml" not in clone.run("git", "status", "--short")
    assert clone.run(sys.executable, "-m", "spam_gpt2.experiments").count("has been run") == 2
    assert set(clone.run("dvc", "exp", "list", "--name-only").split()) == {"head", "first"}
    said = clone.run(sys.executable, "-m", "spam_gpt2.experiments", "head", "--cross-validate")
    assert "# head: 3 folds of 300 messages, weights gpt2-mini" in said
    assert (clone.folder / "reports/cross_validation_head.md").is_file()
    experiments["head"]["set"] = {"finetune.trainable": "last_two_blocks"}
    (clone.folder / "experiments.yaml").write_text(yaml.safe_dump({"few": group}))
    said = clone.run(sys.executable, "-m", "spam_gpt2.experiments")
    assert "first: has been run" in said
    assert "head: has been run" not in said
    with (clone.folder / "reports/experiments.csv").open() as file:
        trained = {row["experiment"]: row["trained parameters"] for row in csv.DictReader(file)}
    assert int(trained["head"]) > int(trained["first"]) > 2 * 32 + 2
    tags = _mlflow_tags(clone)
    assert (tags.count("head"), tags.count("first")) == (2, 1)  # the head before and after
    assert not list((clone.folder / ".dvc/tmp").glob("clones-*"))


def test_a_clone_that_pulls_computes_nothing_again(clone: Clone, tmp_path: Path) -> None:
    clone.repro()
    clone.run("dvc", "remote", "add", "--default", "store", str(tmp_path / "store"))
    clone.run("git", "add", "--all")
    clone.run("git", "commit", "-qm", "a remote")
    clone.run("dvc", "push")
    assert "Everything is up to date" in clone.run("dvc", "push")
    weights = (clone.folder / "models/gpt2/weights.safetensors").stat().st_size
    stored = [path.stat().st_size for path in (tmp_path / "store").rglob("*") if path.is_file()]
    assert stored.count(weights) == 1
    checkpoint = next((clone.folder / "models/gpt2-mini").glob("*.data-*"))
    assert checkpoint.stat().st_size not in stored  # nor as OpenAI's checkpoint
    other = clone.cloned(tmp_path / "other")
    other.run("dvc", "pull", "--allow-missing")  # stages that no test here needs never ran
    assert "up to date" in other.run("dvc", "status", "--with-deps", *TARGETS)
    assert other.repro() == []
    assert other.digests(*OUTPUTS) == clone.digests(*OUTPUTS)
    main = other.run("git", "branch", "--show-current").strip()
    other.run("git", "checkout", "-qb", "change")
    other.set(finetune__epochs=3)
    assert other.repro("evaluate") == ["check_params", "finetune", "evaluate"]
    changed = other.answer("dvc", "metrics", "diff", "--json", main)
    assert changed["metrics/training.json"]["train_loss"]["diff"] != 0


def test_three_classes_of_a_users_own_file_need_parameters_only(clone: Clone) -> None:
    counts = {"ham": 90, "spam": 60, "news": 70}
    write_messages(clone.folder / "own.csv", ["ham", "spam", "news"], counts)
    clone.set(prepare__path="own.csv", prepare__labels=["news", "ham", "spam"])
    clone.repro("evaluate", "evaluate_holdout")
    with (clone.folder / "plots/gpt2/confusion_test.csv").open() as file:
        actual = {row["actual"] for row in csv.DictReader(file)}
    assert actual == {"news", "ham", "spam"}
    assert clone.json("models/classifier/classifier.json")["labels"] == ["news", "ham", "spam"]
    assert clone.json("metrics/holdout.json")["ham"]["messages"] == 30
    clone.repro(*ANALYSES[:4])
    calibration = clone.json("metrics/calibration.json")
    assert calibration["calibration"]["of"] == "probability of the predicted class"
    assert calibration["decision"]["ham"]["messages"] == pytest.approx(1000 * 90 / 220, abs=1e-3)
    assert "threshold" not in calibration
    decision = clone.json("models/decision/decision.json")
    assert (decision["threshold"], decision["unsure_from"]) == (None, None)
    assert decision["shares"] == pytest.approx([70 / 220, 90 / 220, 60 / 220])
    assert clone.json("metrics/robustness.json")["gpt2"]["upper_case"].keys() == {
        "accuracy", "accuracy_change",
    }  # fmt: skip
    assert clone.json("reports/errors.json")["tokens"].keys() == {"news", "ham", "spam"}

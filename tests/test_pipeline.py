"""The whole pipeline by real `dvc repro`, in a temporary clone, on a tiny checkpoint."""

from __future__ import annotations

import copy
import csv
import json
import os
import random
import re
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from spam_gpt2.common.files import sha256_of
from spam_gpt2.common.project import CLONED_FROM
from spam_gpt2.gpt2.tf_checkpoint import OPENAI_FILES
from spam_gpt2.gpt2.weights import load_tensors

ROOT = Path(__file__).parent.parent
COPIED = (
    "stages", "src", "dvc.yaml", "plots/dvc.yaml", "reports/dvc.yaml", "params.yaml", ".dvc/config",
    ".dvcignore", ".gitignore",
)  # fmt: skip
TARGETS = ("track", "evaluate_holdout", "probe_gpt2")
ANALYSES = tuple(
    f"reports/dvc.yaml:{stage}"
    for stage in (
        "calibrate", "compare", "robustness", "explain", "learning_curve", "evaluate_external",
    )
)  # fmt: skip
WORDS = {
    "ham": ["home", "dinner", "later", "tomorrow", "love", "meeting", "school", "bus", "ok"],
    "spam": ["free", "prize", "win", "cash", "claim", "call", "urgent", "txt", "reward"],
    "news": ["minister", "election", "storm", "rates", "match", "report", "police", "court"],
}


class Clone:
    """A project folder with git and DVC, and what its commands printed."""

    def __init__(self, folder: Path, checkpoint_dir: Path) -> None:
        self.folder = folder
        for name in COPIED:
            source, target = ROOT / name, folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copyfile(source, target)
        self._embed_stand_in(checkpoint_dir)
        self.run("git", "init", "-q")
        self.run("git", "config", "user.email", "test@example.org")
        self.run("git", "config", "user.name", "Test")

    def _embed_stand_in(self, checkpoint_dir: Path) -> None:
        folder = self.folder / "models/gpt2-mini"
        shutil.copytree(checkpoint_dir, folder)
        digests = {name: sha256_of(folder / name) for name in OPENAI_FILES}
        (folder / "training.json").write_text(json.dumps({"sha256": digests}))

    def set(self, **changes: object) -> None:
        """Change parameters; `finetune__epochs=1` is the key finetune.epochs."""
        path = self.folder / "params.yaml"
        values = yaml.safe_load(path.read_text())
        for name, value in changes.items():
            section, key = name.split("__")
            values[section][key] = value
        path.write_text(yaml.safe_dump(values))

    def run(self, *command: str, check: bool = True) -> str:
        """Run a command in the folder; its output, standard error included."""
        environment = os.environ | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(self.folder / "src"),
            "GIT_CONFIG_GLOBAL": os.devnull,
        }
        for name in ("MLFLOW_TRACKING_URI", "GPT2_MIRROR", "DVC_ROOT", CLONED_FROM):
            environment.pop(name, None)
        done = subprocess.run(
            command, cwd=self.folder, env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        assert not check or done.returncode == 0, done.stdout
        return done.stdout

    def answer(self, *command: str) -> dict:
        """The JSON that a command prints, behind whatever it warns of."""
        output = self.run(*command)
        return json.loads(output[output.index("{") :])

    def cloned(self, folder: Path) -> Clone:
        """A clone of what is committed, as a colleague would make it."""
        self.run("git", "clone", "-q", ".", str(folder))
        other = copy.copy(self)
        other.folder = folder
        return other

    def repro(self, *targets: str) -> list[str]:
        """`dvc repro`; the names of the stages that ran."""
        output = self.run("dvc", "repro", *(targets or TARGETS))
        return [line.split("'")[1] for line in output.splitlines() if line.startswith("Running")]

    def json(self, path: str) -> dict:
        return json.loads((self.folder / path).read_text())

    def digests(self, *folders: str) -> dict[str, str]:
        """SHA-256 of every output below the folders."""
        paths = [p for folder in folders for p in (self.folder / folder).rglob("*")]
        return {str(p.relative_to(self.folder)): sha256_of(p) for p in paths if p.is_file()}


def write_messages(path: Path, labels: list[str], counts: dict[str, int]) -> None:
    """A CSV of made-up messages whose words tell their label."""
    draw = random.Random(5)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["label", "text"])
        for label in labels:
            for _ in range(counts[label]):
                words = draw.choices(WORDS[label], k=draw.randint(3, 12))
                writer.writerow([label, f"{' '.join(words)}, {draw.randint(0, 999)}"])


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
    folders = r"\b(calibrate|compare|robustness|explain|learning_curve)/"
    of_analyses = [entry for entry in entries if re.search(folders, str(entry))]
    assert missing == {next(iter(entry)) for entry in of_analyses}


def test_the_analyses_are_of_the_same_weights_and_test_messages(clone: Clone) -> None:
    assert clone.repro(*ANALYSES) == list(ANALYSES)
    gpt2 = clone.json("metrics/gpt2.json")
    names = ("calibration", "comparison", "robustness", "errors", "learning_curve")
    found = {name: clone.json(f"metrics/{name}.json") for name in names}
    assert {metrics["weights"] for metrics in found.values()} == {"gpt2-mini"}
    accuracy = pytest.approx(gpt2["test"]["accuracy"], abs=1e-6)
    assert found["calibration"]["argmax"]["test"]["accuracy"] == accuracy
    assert found["robustness"]["gpt2"]["unchanged"]["accuracy"] == accuracy
    assert set(found["learning_curve"]["gpt2"]) == {"40", "140"}
    assert found["learning_curve"]["gpt2"]["140"]["mean"] == accuracy  # trained as in finetune
    assert clone.json("metrics/external.json") == {"files": {}}
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
    assert drawn(clone, "show")[1] == set()


def test_messages_from_elsewhere_are_judged_by_what_was_trained_here(clone: Clone) -> None:
    clone.repro("evaluate")
    ours = (clone.folder / "messages.csv").read_text().splitlines()
    copied = [row.upper() for row in ours[1:31]]
    new = [f"HAM,see you at home for dinner {i}" for i in range(20)]
    new += [f"Smishing,urgent free cash prize txt {i}" for i in range(12)]
    path = clone.folder / "elsewhere.csv"
    path.write_text("\n".join(["label,text", *copied, *new]))
    external = {"name": "mine", "path": str(path), "sha256": sha256_of(path)}
    values = yaml.safe_load((clone.folder / "params.yaml").read_text())
    values["external"] = [external]
    (clone.folder / "params.yaml").write_text(yaml.safe_dump(values))
    stage = "reports/dvc.yaml:evaluate_external"
    told = clone.run("dvc", "repro", stage, check=False)
    assert "error: external.mine: label 'Smishing' (line 52) is none of ham, spam" in told
    external["map"] = {"smishing": "spam"}
    values["external"] = [external]
    (clone.folder / "params.yaml").write_text(yaml.safe_dump(values))
    clone.repro(stage)
    [found] = clone.json("metrics/external.json")["files"].values()
    assert (found["read"], found["messages"]) == (62, 32)
    for model in ("gpt2", "baseline"):
        by_label = {k: v["messages"] for k, v in found[model]["by_label"].items()}
        assert by_label == {"ham": 20, "smishing": 12}
        assert found[model]["accuracy"] > 0.8
    with (clone.folder / "data/predictions/external/mine.csv").open() as file:
        rows = list(csv.DictReader(file))
    right = sum(row["label"] == row["predicted"] for row in rows)
    assert right / len(rows) == pytest.approx(found["gpt2"]["accuracy"], abs=1e-6)
    assert (clone.folder / "plots/external/external.png").is_file()
    assert clone.repro(stage) == []


def test_a_text_is_folded_in_training_and_ever_after(clone: Clone) -> None:
    clone.set(classifier__fold=["case", "characters", "spacing"])
    ran = clone.repro("evaluate", "baseline")
    assert {"plan_features", "extract_features", "finetune", "evaluate", "baseline"} <= {*ran}
    folds = ["characters", "spacing", "case"]
    assert clone.json("models/classifier/classifier.json")["fold"] == folds
    clone.repro("reports/dvc.yaml:robustness")
    robustness = clone.json("metrics/robustness.json")
    assert robustness["messages_changed"]["upper_case"] > 0
    for model in ("gpt2", "baseline"):
        accuracy = clone.json(f"metrics/{model}.json")["test"]["accuracy"]
        for writing in ("unchanged", "lower_case", "upper_case", "zero_width"):
            assert robustness[model][writing]["accuracy"] == pytest.approx(accuracy, abs=1e-6)


def test_what_a_new_clone_lacks_is_made_though_the_lock_file_knows_it(clone: Clone) -> None:
    runs = len(_mlflow_runs(clone))
    (clone.folder / "reports/tracked.txt").unlink()  # what git does not bring
    assert clone.repro() == ["track"]
    assert len(_mlflow_runs(clone)) == runs + 1


def test_a_changed_learning_rate_reruns_finetuning_and_what_follows(clone: Clone) -> None:
    clone.set(finetune__learning_rate=0.005)
    ran = clone.repro()
    assert ran == ["check_params", "finetune", "evaluate", "track", "evaluate_holdout"]


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
    assert sum(size > weights * 0.9 for size in stored) == 1  # nor as OpenAI's checkpoint
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
    assert clone.json("metrics/robustness.json")["gpt2"]["upper_case"].keys() == {
        "accuracy", "accuracy_change",
    }  # fmt: skip
    assert clone.json("reports/errors.json")["tokens"].keys() == {"news", "ham", "spam"}

"""Classifiers go to MLflow's registry, the better one is champion, and what is served is right."""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import chdir, contextmanager, redirect_stdout, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit

import numpy as np
import pandas as pd
import pytest
import requests
import yaml
from decided import save_decision_for
from finished import AWKWARD, LABELS, evaluate, write_project
from http_server import closed_port, without_proxies
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from safetensors.torch import load_file, save_file

from spam_gpt2.classifier.predict import Predictor
from spam_gpt2.tracking.mlflow_run import log_run, open_store
from spam_gpt2.tracking.registry import check_result, compare, main

COLUMNS = ["label", "probability", "probability_ham", "probability_spam"]
CARD = Path("models/classifier/classifier.json")
TENSORS = Path("models/classifier/classifier.safetensors")

# MLflow's own affairs with SQLAlchemy and with pandas.
pytestmark = [
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy"),
    pytest.mark.filterwarnings("ignore:Operation with range is deprecated"),
]


@contextmanager
def clean_environment(**values: str) -> Iterator[None]:
    """Nothing of MLflow's and DVC's in the environment but the given; what is set here goes."""
    with patch.dict(os.environ):
        for name in [name for name in os.environ if name.startswith(("MLFLOW_", "DVC_"))]:
            del os.environ[name]
        os.environ |= values
        yield


def scale_head(root: Path, factor: float) -> None:
    """Another classifier: surer of itself, or (below 0) of the opposite."""
    tensors = load_file(root / TENSORS)
    for name in ("head.weight", "head.bias"):
        tensors[name] = tensors[name] * factor
    save_file(tensors, root / TENSORS)
    card = json.loads((root / CARD).read_text(encoding="utf-8"))
    card["tensors_sha256"] = digest(root / TENSORS)
    (root / CARD).write_text(json.dumps(card), encoding="utf-8")


@dataclass
class History:
    """A project whose classifiers were registered one after the other, step by step."""

    root: Path
    tracked_run_id: str = ""
    printed: dict[str, str] = field(default_factory=dict)
    figures: dict[str, dict[str, float]] = field(default_factory=dict)
    champions: dict[str, str] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)  # of the classifier

    @property
    def client(self) -> Any:
        import mlflow

        return mlflow.MlflowClient(f"sqlite:///{self.root}/mlflow.db")

    def version(self, number: int) -> Any:
        return self.client.get_model_version("spam-gpt2", str(number))

    def model_dir(self, number: int) -> Path:
        model = self.client.get_logged_model(self.version(number).source.removeprefix("models:/"))
        return Path(model.artifact_location.removeprefix("file://"))

    def step(self, name: str, factor: float, *arguments: str) -> None:
        """Make the head `factor` times its size, evaluate, register, and note what came of it."""
        shutil.copyfile(self.root / "original.safetensors", self.root / TENSORS)
        scale_head(self.root, factor)
        self.figures[name] = evaluate(self.root)
        if name == "better":
            self.tracked_run_id = self.track()
        self.printed[name] = run(self.root, *arguments)
        champion = self.client.get_model_version_by_alias("spam-gpt2", "champion")
        self.champions[name] = str(champion.version)
        self.digests[name] = digest(self.root / CARD, self.root / TENSORS)

    def track(self) -> str:
        params = yaml.safe_load((self.root / "params.yaml").read_text(encoding="utf-8"))
        return log_run(self.root, params, params["track"]["experiment"])


def digest(*paths: Path) -> str:
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()


def run(root: Path, *arguments: str) -> str:
    """Run the command line in this process; what it printed."""
    out = io.StringIO()
    with chdir(root), patch.object(sys, "argv", ["registry", *arguments]), redirect_stdout(out):
        main()
    return out.getvalue()


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    """Seven registrations. Making a store and logging models takes seconds: all tests share it."""
    it = History(tmp_path_factory.mktemp("project"))
    write_project(it.root)
    shutil.copyfile(it.root / TENSORS, it.root / "original.safetensors")
    with clean_environment():
        it.step("first", -1)
        it.step("better", 4)
        it.step("worse", -1)
        it.step("tie", 1)
        path = it.root / "data/prepared/validation.csv"
        path.write_text(f"{path.read_text(encoding='utf-8')}99,ham,one more\n", encoding="utf-8")
        it.step("other data", 2)
        it.step("forced", 2, "--force")
        it.step("new figures", 1)
        yield it


def test_each_classifier_has_one_version(history: History) -> None:
    versions = history.client.search_model_versions("name = 'spam-gpt2'")
    digests = {int(v.version): v.tags["classifier_sha256"] for v in versions}
    steps = ("first", "better", "tie", "other data")
    assert digests == {i + 1: history.digests[step] for i, step in enumerate(steps)}
    for step, number in {"worse": 1, "forced": 4, "new figures": 3}.items():
        assert f"version {number} is this very classifier" in history.printed[step]


def test_the_alias_moves_to_what_does_better_on_the_same_data(history: History) -> None:
    figures = history.figures
    assert figures["better"]["accuracy"] > figures["first"]["accuracy"]
    assert figures["tie"]["accuracy"] == figures["better"]["accuracy"]
    assert figures["tie"]["loss"] < figures["better"]["loss"]
    assert figures["new figures"]["accuracy"] == figures["other data"]["accuracy"]
    assert figures["new figures"]["loss"] < figures["other data"]["loss"]
    assert history.champions == {
        "first": "1",
        "better": "2",
        "worse": "2",
        "tie": "3",
        "other data": "3",
        "forced": "4",
        "new figures": "3",
    }


def test_what_happened_to_the_alias_is_said_with_the_reason(history: History) -> None:
    lines = {step: text.splitlines()[-1] for step, text in history.printed.items()}
    assert lines["first"] == "champion: version 1: the first one"
    better, first = history.figures["better"], history.figures["first"]
    assert lines["better"].startswith("champion: version 2: validation accuracy ")
    for figure in (better["accuracy"], first["accuracy"], better["loss"], first["loss"]):
        assert f"{figure:.4f}" in lines["better"]
    assert lines["worse"].startswith("champion: version 2, as before: validation accuracy ")
    assert lines["other data"] == (
        "champion: version 3, as before: the validation data differ, so that the two do not "
        "compare (see --force)"
    )


def test_a_version_says_what_it_was_trained_and_measured_on(history: History) -> None:
    for number, step in {1: "first", 2: "better", 3: "new figures", 4: "forced"}.items():
        facts = history.version(number).tags
        for figure in ("accuracy", "loss"):
            assert float(facts[f"validation.{figure}"]) == history.figures[step][figure]
        for split in ("train", "test"):
            path = history.root / f"data/prepared/{split}.csv"
            assert facts[f"data.{split}.sha256"] == digest(path)
        assert facts["data.messages.sha256"] == digest(history.root / "messages.csv")
    now = digest(history.root / "data/prepared/validation.csv")
    digests = [history.version(i).tags["data.validation.sha256"] for i in (1, 2, 3, 4)]
    assert digests[:2] != [now, now]
    assert digests[2:] == [now, now]


def test_a_version_belongs_to_the_run_that_tracked_its_classifier(history: History) -> None:
    assert history.version(2).run_id == history.tracked_run_id
    (output,) = history.client.get_run(history.tracked_run_id).outputs.model_outputs
    assert history.version(2).source == f"models:/{output.model_id}"
    model = history.client.get_logged_model(output.model_id)
    accuracies = {m.key: m.value for m in model.metrics if m.key.endswith("/accuracy")}
    assert accuracies["validation/accuracy"] == history.figures["better"]["accuracy"]


def test_a_classifier_that_no_run_tracked_gets_a_run_of_its_own(history: History) -> None:
    own = history.client.get_run(history.version(1).run_id)
    assert own.data.tags["classifier_sha256"] == history.digests["first"]
    assert own.info.status == "FINISHED"
    runs = history.client.search_runs([own.info.experiment_id])
    assert len(runs) == 4  # as many as classifiers


def test_a_model_holds_all_that_it_needs_and_no_pickle(history: History) -> None:
    folder = history.model_dir(3)
    artifacts_dir = folder / "artifacts"
    for file in ("weights.safetensors", "config.json", "vocab.bpe", "encoder.json"):
        assert digest(artifacts_dir / file) == digest(history.root / "models/gpt2" / file)
    classifier = digest(artifacts_dir / CARD.name, artifacts_dir / TENSORS.name)
    assert classifier == history.digests["tie"]
    model = yaml.safe_load((folder / "MLmodel").read_text())
    flavor = model["flavors"]["python_function"]
    assert flavor["loader_module"] == "mlflow.pyfunc.loaders.code_model"
    assert "python_model" not in flavor
    assert not [path for path in folder.rglob("*") if path.suffix in (".pkl", ".pickle", ".pt")]
    inputs, outputs = (json.loads(model["signature"][key]) for key in ("inputs", "outputs"))
    assert [(c["name"], c["type"]) for c in inputs] == [("text", "string")]
    assert [c["name"] for c in outputs] == COLUMNS
    example = json.loads((folder / "serving_input_example.json").read_text())
    assert example["dataframe_split"]["columns"] == ["text"]


WHAT_IS_IMPORTED = """
import json, sys
for name in ("tensorflow", "sklearn", "matplotlib", "scipy", "dvc", "transformers"):
    sys.modules[name] = None  # an import of it fails
import mlflow
model = mlflow.pyfunc.load_model(sys.argv[1])
print(model.predict(__import__("pandas").DataFrame({"text": ["hello"]})).to_json(orient="records"))
ours = [m.__file__ for n, m in sys.modules.items() if n.partition(".")[0] == "spam_gpt2"]
print(json.dumps(ours))
"""


@pytest.fixture(scope="module")
def elsewhere(history: History, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A model moved to another place and used there; its folder and the files of code it ran."""
    folder = tmp_path_factory.mktemp("elsewhere") / "model"
    shutil.copytree(history.model_dir(3), folder)
    done = subprocess.run(
        [sys.executable, "-c", WHAT_IS_IMPORTED, folder],
        cwd=folder.parent, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    predictions, files = done.stdout.splitlines()[-2:]
    assert json.loads(predictions)[0].keys() == set(COLUMNS)
    return folder, json.loads(files)


def test_a_model_runs_the_code_that_it_holds(elsewhere: tuple[Path, list[str]]) -> None:
    folder, files = elsewhere
    assert {"predict.py", "model.py"} <= {Path(file).name for file in files}
    assert all(Path(file).is_relative_to(folder / "code") for file in files)


def imported_packages(path: Path) -> set[str]:
    """Top-level names that a file imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module.partition(".")[0])
    return names - set(sys.stdlib_module_names) - {"spam_gpt2"}


def test_the_requirements_are_what_that_code_imports_as_installed(
    elsewhere: tuple[Path, list[str]],
) -> None:
    folder, files = elsewhere
    lines = (folder / "requirements.txt").read_text().splitlines()
    requirements = {r.name: r.specifier for r in map(Requirement, lines)}
    owners = {
        package: {canonicalize_name(name) for name in names}
        for package, names in importlib.metadata.packages_distributions().items()
    }
    imported = set().union(
        *(imported_packages(Path(file)) for file in [folder / "serving.py", *files])
    )
    needed = {name: owners[name] & requirements.keys() for name in imported}
    assert all(needed.values()), needed
    assert set().union(*needed.values()) == requirements.keys()
    for name, specifier in requirements.items():
        assert specifier.contains(importlib.metadata.version(name))
        assert str(specifier).startswith("==")
        assert "+" not in str(specifier)  # no index has the builds with such a label


@contextmanager
def server(root: Path) -> Iterator[str]:
    """The address at which the champion of a project is really served."""
    address = closed_port()
    port = str(urlsplit(address).port)
    command = [sys.executable, "-m", "spam_gpt2.tracking.registry", "serve", "--port", port]
    with (root / "serve.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=root, stdout=log, stderr=log, start_new_session=True,
            env=os.environ | {"MLFLOW_HOST": "0.0.0.0"},
        )  # fmt: skip
        try:
            for _ in range(600):
                assert process.poll() is None, (root / "serve.log").read_text()
                with suppress(requests.ConnectionError):
                    if requests.get(f"{address}/ping", timeout=10).ok:
                        break
                time.sleep(0.2)
            yield address
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(timeout=30)


@pytest.fixture(scope="module")
def address(history: History) -> Iterator[str]:
    with without_proxies(), server(history.root) as it:
        yield it


def evaluated(history: History) -> pd.DataFrame:
    """Predictions of the test set that the stage `evaluate` wrote last, of the champion."""
    path = history.root / "data/predictions/gpt2/test.csv"
    return pd.read_csv(path, keep_default_na=False)


def assert_same(predictions: list[dict[str, Any]], expected: pd.DataFrame) -> None:
    """The same labels; probabilities within the rounding of single precision."""
    found = pd.DataFrame(predictions)
    assert list(found.columns) == COLUMNS
    assert found["label"].tolist() == expected["predicted"].tolist()
    names = [f"probability_{label}" for label in LABELS]
    np.testing.assert_allclose(found[names], expected[names], atol=1e-6)
    assert found["probability"].tolist() == found[names].max(axis=1).tolist()


@pytest.mark.parametrize(
    "request_of",
    [
        lambda texts: {"inputs": texts},
        lambda texts: {"instances": texts},
        lambda texts: {"dataframe_split": {"columns": ["text"], "data": [[t] for t in texts]}},
        lambda texts: {"dataframe_records": [{"line": 1, "text": t} for t in texts]},
    ],
    ids=["inputs", "instances", "dataframe_split", "dataframe_records"],
)
def test_what_is_served_is_what_was_evaluated(history: History, address: str, request_of) -> None:
    expected = evaluated(history)
    assert set(AWKWARD) <= set(expected["text"])
    answer = requests.post(
        f"{address}/invocations", json=request_of(expected["text"].tolist()), timeout=60
    )
    assert answer.status_code == 200, answer.text
    assert_same(answer.json()["predictions"], expected)


@pytest.mark.parametrize(
    ("content", "content_type", "part"),
    [
        ('{"dataframe_records": [{"message": "hello"}]}', "json", "missing inputs ['text']"),
        ('{"dataframe_records": [{"text": "a"}, {"text": null}]}', "json", "row 1: no text"),
        ("text\nhello\nNA\n", "csv", "row 1: no text"),
    ],
    ids=["another column", "null", "NA in CSV"],
)
def test_a_wrong_request_is_refused_with_the_reason(
    address: str, content: str, content_type: str, part: str
) -> None:
    types = {"json": "application/json", "csv": "text/csv"}
    headers = {"Content-Type": types[content_type]}
    answer = requests.post(f"{address}/invocations", content, headers=headers, timeout=60)
    assert answer.status_code == 400
    assert part in answer.json()["message"]


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"[" * 100_000 + b"]" * 100_000, {}, 400),
        (b" " * 20_000_000, {}, 413),
        (b'{"inputs": ["a"]}', {"Origin": "https://elsewhere.invalid"}, 403),
        (b'{"inputs": ', {}, 400),
    ],
    ids=["deep", "large", "cross-origin", "no JSON"],
)
def test_what_the_server_refuses_comes_without_a_trace(
    address: str, content: bytes, headers: dict[str, str], status: int
) -> None:
    types = {"Content-Type": "application/json"}
    answer = requests.post(f"{address}/invocations", content, headers=types | headers, timeout=30)
    assert answer.status_code == status
    assert "stack_trace" not in answer.text
    assert "Traceback" not in answer.text


def test_it_listens_at_loopback_whatever_mlflow_host_says(address: str) -> None:
    """127.0.0.2 is this machine, too, on Linux: who listens at every address answers there."""
    assert requests.get(f"{address}/ping", timeout=10).ok
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{address.replace('127.0.0.1', '127.0.0.2')}/ping", timeout=10)


def test_mlflow_models_predict_gives_what_was_evaluated(history: History, tmp_path: Path) -> None:
    expected = evaluated(history)
    (tmp_path / "texts.json").write_text(json.dumps({"inputs": expected["text"].tolist()}))
    environment = os.environ | {
        "MLFLOW_TRACKING_URI": f"sqlite:///{history.root}/mlflow.db",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    subprocess.run(
        ["mlflow", "models", "predict", "--model-uri", "models:/spam-gpt2@champion",
         "--env-manager", "local", "--input-path", "texts.json", "--output-path", "out.json"],
        cwd=tmp_path, env=environment, check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    assert_same(json.loads((tmp_path / "out.json").read_text())["predictions"], expected)


@pytest.fixture(scope="module")
def evaluated_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that has no store yet. Do not change it: take `project`."""
    root = tmp_path_factory.mktemp("evaluated")
    write_project(root)
    evaluate(root)
    return root


@pytest.fixture
def project(evaluated_project: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of it, to change."""
    shutil.copytree(evaluated_project, tmp_path, dirs_exist_ok=True)
    with clean_environment(), without_proxies():
        yield tmp_path


def error_of(capsys: pytest.CaptureFixture[str], root: Path, *arguments: str) -> str:
    """The one line that the command line ends with."""
    with pytest.raises(SystemExit) as caught:
        run(root, *arguments)
    assert caught.value.code == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1].startswith("error: ")
    assert not [line for line in lines if "Traceback" in line]
    return lines[-1]


def test_without_a_classifier_the_error_says_what_makes_one(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(project / "models/classifier")
    line = error_of(capsys, project)
    assert "models/classifier/classifier.json: no such file; `dvc repro`" in line
    assert not (project / "mlflow.db").exists()


def test_a_classifier_that_is_sure_of_its_mistakes_is_that_of_its_metrics(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its loss is the same from features and from text, although a float32 could not tell it."""
    scale_head(project, 30)
    validation = evaluate(project)
    assert validation["loss"] > 2  # a fifth of the labels are wrong on purpose
    monkeypatch.chdir(project)
    assert check_result({"validation": validation}) == LABELS


def test_metrics_of_another_classifier_are_refused(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scale_head(project, 2)
    assert "metrics/gpt2.json: validation loss " in error_of(capsys, project)
    assert not (project / "mlflow.db").exists()


def test_a_registry_that_cannot_be_reached_is_one_line(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.environ["MLFLOW_TRACKING_URI"] = closed_port()
    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
    assert "error: MLflow: " in error_of(capsys, project)


def test_a_store_that_is_damaged_is_one_line(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "mlflow.db").write_text("no database")
    assert "not a database" in error_of(capsys, project)


def test_a_decision_makes_a_version_that_serves_by_it(project: Path) -> None:
    """A third of the texts in each of its parts, by the probabilities of the version without it."""
    assert "version 1 is registered" in run(project)
    predictor = Predictor.load(project / "models/classifier", project / "models/gpt2")
    spam = [each.probabilities[1] for each in predictor.predict(AWKWARD)]
    odds = [p / (1 - p) * 0.1 / 0.9 for p in spam]  # of 1 in 10
    shifted = np.array([each / (1 + each) for each in odds])
    lower, upper = (float(np.sort(shifted)[i : i + 2].mean()) for i in (1, 3))
    save_decision_for(
        project / CARD, project / "models/decision", LABELS,
        shares=[0.9, 0.1], unsure_from=lower, threshold=upper,
    )  # fmt: skip
    printed = run(project)
    assert "version 2 is registered" in printed
    assert "champion: version 2: the same classifier with another decision" in printed
    assert "version 2 is this very classifier" in run(project)
    with server(project) as address:
        answer = requests.post(f"{address}/invocations", json={"inputs": AWKWARD}, timeout=60)
    assert answer.status_code == 200, answer.text
    found = pd.DataFrame(answer.json()["predictions"])
    assert list(found.columns) == COLUMNS
    np.testing.assert_allclose(found["probability_spam"], shifted, atol=1e-6)
    expected = np.where(shifted > upper, "spam", np.where(shifted > lower, "unsure", "ham"))
    assert found["label"].tolist() == expected.tolist()
    assert sorted(expected) == ["ham"] * 2 + ["spam"] * 2 + ["unsure"] * 2
    shutil.rmtree(project / "models/decision")
    assert "champion: version 1: the same classifier with another decision" in run(project)


def test_a_decision_of_another_classifier_is_not_registered(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_decision_for(project / CARD, project / "models/decision", LABELS, card_sha256="0" * 64)
    assert error_of(capsys, project) == (
        "error: models/decision/decision.json: chosen for another classifier than the one in "
        "models/classifier; run `dvc repro reports/dvc.yaml:calibrate`"
    )
    assert not (project / "mlflow.db").exists()


def test_without_a_champion_there_is_nothing_to_serve(
    history: History, capsys: pytest.CaptureFixture[str]
) -> None:
    line = error_of(capsys, history.root, "--name", "other", "serve")
    assert line == "error: other: no version is champion yet; `make register` makes one"


def test_a_port_that_another_program_has_is_one_line(
    history: History, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        line = error_of(capsys, history.root, "serve", "--port", port)
    assert line.startswith(f"error: port {port}: ")
    assert line.endswith("choose another, as in `make serve PORT=5002`")
    assert "error: port 70000: " in error_of(capsys, history.root, "serve", "--port", "70000")


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6")
def test_a_host_is_an_address_of_either_kind_or_told(
    history: History, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as other:
        port = str(other.getsockname()[1])
        line = error_of(capsys, history.root, "serve", "--host", "::1", "--port", port)
    assert line.startswith(f"error: port {port}: Address already in use")
    line = error_of(capsys, history.root, "serve", "--host", "no-such-host.invalid")
    assert line.startswith("error: --host no-such-host.invalid: ")


FACTS = {
    "data.train.sha256": "a",
    "data.validation.sha256": "b",
    "data.test.sha256": "c",
    "validation.accuracy": "0.9",
    "validation.loss": "0.2",
}


@pytest.mark.parametrize(
    ("changes", "better"),
    [
        ({"validation.accuracy": "0.91", "validation.loss": "0.9"}, True),
        ({"validation.accuracy": "0.89", "validation.loss": "0.1"}, False),
        ({"validation.loss": "0.19"}, True),
        ({"validation.loss": "0.21"}, False),
        ({}, False),
        ({"validation.accuracy": "0.90"}, False),
        ({"validation.accuracy": "1.0", "data.train.sha256": "d"}, False),
        ({"validation.accuracy": "1.0", "data.validation.sha256": "d"}, False),
        ({"validation.accuracy": "1.0", "data.test.sha256": "d"}, False),
    ],
)
def test_accuracy_decides_then_loss_and_only_on_the_same_data(
    changes: dict[str, str], better: bool
) -> None:
    assert compare(FACTS | changes, FACTS)[0] == better


def test_a_champion_that_was_registered_by_other_means_does_not_compare() -> None:
    better, reason = compare(FACTS, {})
    assert not better
    assert "the train and validation and test data differ" in reason


def test_a_deleted_experiment_is_named_with_a_remedy_that_works(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    client, experiment_id = open_store(project, "spam-gpt2")
    client.delete_experiment(experiment_id)
    with pytest.raises(SystemExit):
        run(project)
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    remedy = line.split("`")[1]
    assert remedy.endswith(f"mlflow experiments restore -x {experiment_id}")
    subprocess.run(remedy, shell=True, cwd=project, check=True, capture_output=True, timeout=60)
    assert "version 1 is registered" in run(project)

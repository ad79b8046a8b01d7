"""Register the classifier as an MLflow model: `python -m spam_gpt2.tracking.registry`."""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spam_gpt2.classifier.artifacts import CARD_FILE, TENSORS_FILE
from spam_gpt2.classifier.decision import DECISION_DIR, DECISION_FILE, load_decision
from spam_gpt2.classifier.predict import CLASSIFIER_DIR, WEIGHTS_DIR, Predictor
from spam_gpt2.common.console import one_line_errors, progress, say
from spam_gpt2.common.files import InputError, read_json, sha256_of
from spam_gpt2.common.params import Params, load_params
from spam_gpt2.common.secrets import without_secrets
from spam_gpt2.common.text import visible
from spam_gpt2.common.web import HOST, check_port
from spam_gpt2.data.messages import read_split
from spam_gpt2.data.splits import SPLITS
from spam_gpt2.evaluation.metrics import classification_metrics
from spam_gpt2.evaluation.predictions import label_ids
from spam_gpt2.gpt2.config import CONFIG_FILE, VOCABULARY_FILES
from spam_gpt2.gpt2.weights import WEIGHTS_FILE
from spam_gpt2.tracking.mlflow_run import find_run, log_run, open_store
from spam_gpt2.tracking.provenance import tags

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

MODEL_NAME = "spam-gpt2"
ALIAS = "champion"
SERVING_PATH = Path(__file__).with_name("serving.py")
PACKAGE_DIR = SERVING_PATH.parents[1]  # all of spam_gpt2
ARTIFACTS = (
    *(CLASSIFIER_DIR / file for file in (CARD_FILE, TENSORS_FILE)),
    *(WEIGHTS_DIR / file for file in (CONFIG_FILE, WEIGHTS_FILE, *VOCABULARY_FILES)),
)
DECISION_PATH, DECISION_TAG = DECISION_DIR / DECISION_FILE, "decision_sha256"
# What the code behind serving.py imports; the rest of the pipeline's packages is not needed.
REQUIREMENTS = (
    *("confusable-homoglyphs", "mlflow-skinny", "numpy", "pandas", "pydantic", "pyyaml"),
    *("safetensors", "tiktoken", "torch", "tqdm"),
)
EXAMPLES = ("You have won a prize! Call now to claim it.", "See you at dinner tonight")
FIGURES = ("accuracy", "loss")
TOLERANCE = 1e-4  # of a figure: batches of other sizes round differently
PORT, UI_PORT = 5001, 5000
ENVIRONMENT = {
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",  # one a file, of little use
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "300",  # seconds; weights take longer than what `track` sends
}
DESCRIPTION = f"""Register the classifier that `dvc repro` trained as a version of an MLflow model,
with everything that it needs to run, the decision of `make report` included where there is one. The
alias {ALIAS} moves to it when it does better on the
validation set than the version that has the alias, on the same data."""


def parser() -> argparse.ArgumentParser:
    """The command line, as --help shows it."""
    it = argparse.ArgumentParser(
        prog="python -m spam_gpt2.tracking.registry", description=DESCRIPTION
    )
    it.add_argument("--name", default=MODEL_NAME, help="the registered model (%(default)s)")
    it.add_argument(
        "--force", action="store_true", help=f"move the alias {ALIAS} whatever the comparison says"
    )
    it.set_defaults(run=lambda args: register(load_params(), args.name, force=args.force))
    others = it.add_subparsers(title="instead of registering", metavar="[serve | ui]")
    serving = others.add_parser("serve", help=f"answer over HTTP with the {ALIAS}")
    serving.add_argument("--port", type=int, default=PORT, help="of this machine (%(default)s)")
    serving.add_argument("--host", default=HOST, help="address to listen at (%(default)s)")
    serving.set_defaults(run=lambda args: serve(load_params(), args.name, args.port, args.host))
    page = others.add_parser("ui", help="open MLflow's user interface on the local store")
    page.add_argument("--port", type=int, default=UI_PORT, help="of this machine (%(default)s)")
    page.add_argument("--host", default=HOST, help="address to listen at (%(default)s)")
    page.set_defaults(run=lambda args: show_runs(args.port, args.host))
    return it


def main() -> None:
    """Parse the command line, do as it says, and turn errors of the input into one line."""
    args = parser().parse_args()
    for variable, value in ENVIRONMENT.items():
        os.environ.setdefault(variable, value)
    with one_line_errors():
        args.run(args)


def register(params: Params, name: str = MODEL_NAME, *, force: bool = False) -> None:
    """Register the result in the current folder, choose the champion, and print what was done.

    A classifier that is registered already gets no second version, but for another decision.

    Raises: InputError when the pipeline has not run, when its files do not belong together, or when
    MLflow cannot be reached.
    """
    gpt2 = read_json(Path("metrics/gpt2.json"))
    labels = check_result(gpt2)
    facts = tags(Path(), params.model_dump(), gpt2)
    facts |= {f"validation.{figure}": str(gpt2["validation"][figure]) for figure in FIGURES}
    if DECISION_PATH.exists():
        load_decision(DECISION_DIR, CLASSIFIER_DIR / CARD_FILE, labels)  # of this classifier
        facts[DECISION_TAG] = sha256_of(DECISION_PATH)
    with store_errors():
        client, experiment_id = open_store(Path(), params.track.experiment)
        version = find_version(client, name, facts)
        if version is None:
            run_id = find_run(client, experiment_id, facts["classifier_sha256"])
            run_id = run_id or log_run(Path(), params.model_dump(), params.track.experiment)
            model_id = log_model(experiment_id, run_id, labels)
            version = add_version(client, name, model_id, facts)
            registered = f"version {version.version} is registered ({version.description})"
            print(visible(f"{name}: {registered}"))
        else:
            update_facts(client, version, facts)
            version = describe(client, version)
            print(f"{name}: version {version.version} is this very classifier; nothing was added")
        print(visible(choose_champion(client, version, force=force)))


def serve(params: Params, name: str, port: int, host: str = HOST) -> None:
    """Become `mlflow models serve` with the champion, in this environment and from this store.

    Raises: InputError when there is no champion, or when MLflow cannot be reached.
    """
    champion = find_champion(params, name)
    check_port(port, host, f"make serve PORT={PORT + 1}")
    from spam_gpt2.tracking.server import run_server

    say(f"{name}: version {champion} at http://{host}:{port}/invocations; stop with Ctrl-C")
    say(f"It stays with version {champion} when {ALIAS} moves: start again to take the new one.")
    with store_errors():
        run_server(version_uri(name, champion), host, port)


def find_champion(params: Params, name: str = MODEL_NAME) -> str:
    """The number of the version that has the alias.

    Raises: InputError when there is none, or when MLflow cannot be reached.
    """
    with store_errors():
        client, _ = open_store(Path(), params.track.experiment)
        champion = champion_of(client, name)
    if champion is None:
        raise InputError(f"{name}: no version is {ALIAS} yet; `make register` makes one")
    return champion


def version_uri(name: str, number: str) -> str:
    """MLflow's address of a version: it stays with it when the alias moves."""
    return f"models:/{name}/{number}"


def show_runs(port: int, host: str) -> None:
    """Become `mlflow ui` on the project's own store. Raises: InputError for a taken port."""
    check_port(port, host, f"make mlflow PORT={UI_PORT + 1}")
    command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", "sqlite:///mlflow.db"]
    command += ["--host", host, "--port", str(port)]
    os.execve(sys.executable, command, os.environ)


def check_result(gpt2: Mapping[str, Any]) -> list[str]:
    """The labels; InputError when the classifier does not reach what `metrics/gpt2.json` says.

    It reads plain text here, as a served model does, where `evaluate` starts from features.
    """
    predictor = Predictor.load()
    labels = predictor.card.labels
    messages = read_split(Path("data/prepared/validation.csv"))
    texts = progress(messages["text"], desc="check", unit="message")
    probabilities = np.array([each.probabilities for each in predictor.predict(texts)])
    reached = classification_metrics(label_ids(messages, labels), probabilities)
    for figure in FIGURES:
        stated = gpt2["validation"][figure]
        if abs(reached[figure] - stated) > TOLERANCE:
            raise InputError(
                f"metrics/gpt2.json: validation {figure} {stated}, but the classifier in "
                f"{CLASSIFIER_DIR} reaches {reached[figure]}; run `dvc repro track`"
            )
    return labels


@contextmanager
def store_errors() -> Iterator[None]:
    """Turn what MLflow raises about its store into an InputError."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except InputError:
        raise
    # Of an address: a driver that is not installed, and what is no address at all.
    except (MlflowException, SQLAlchemyError, OSError, ImportError, ValueError) as error:
        reason = without_secrets(" ".join(str(error).split()))[:300]
        raise InputError(f"MLflow: {reason}") from error


def find_version(client: MlflowClient, name: str, facts: Mapping[str, str]) -> ModelVersion | None:
    """The version that holds this very classifier with this very decision, or both without one."""
    digest = facts["classifier_sha256"]
    found = client.search_model_versions(f"name = '{name}' and tags.classifier_sha256 = '{digest}'")
    decision = facts.get(DECISION_TAG)
    return next((version for version in found if version.tags.get(DECISION_TAG) == decision), None)


def log_model(experiment_id: str, run_id: str, labels: list[str]) -> str:
    """Log the classifier as a model of a run that has ended; returns the model's id.

    By `Model.log`, since `pyfunc.log_model` only knows the active run, and making a run active
    again would change the time at which it ended.
    """
    import mlflow
    import pandas as pd

    from spam_gpt2.tracking.serving import signature

    mlflow.set_experiment(experiment_id=experiment_id)
    info = mlflow.models.Model.log(
        artifact_path=None,
        name="classifier",
        flavor=mlflow.pyfunc,
        run_id=run_id,
        python_model=str(SERVING_PATH),
        artifacts={path.name: path.as_posix() for path in artifact_paths()},
        code_paths=[str(PACKAGE_DIR)],
        signature=signature(labels),
        input_example=pd.DataFrame({"text": EXAMPLES}),
        pip_requirements=requirements(),
    )
    return info.model_id


def artifact_paths() -> list[Path]:
    """The files that a model needs, and the decision where there is one."""
    return [*ARTIFACTS, *([DECISION_PATH] if DECISION_PATH.exists() else [])]


def requirements() -> list[str]:
    """Pinned as installed, without the label of a build (`+cpu`), which package indexes lack."""
    versions = {package: importlib.metadata.version(package) for package in REQUIREMENTS}
    return [f"{package}=={version.split('+')[0]}" for package, version in versions.items()]


def add_version(
    client: MlflowClient, name: str, model_id: str, facts: Mapping[str, str]
) -> ModelVersion:
    """Register a logged model with what is known about it as tags; returns the new version."""
    import mlflow

    version = mlflow.register_model(f"models:/{model_id}", name, tags=dict(facts))
    return describe(client, version)


def describe(client: MlflowClient, version: ModelVersion) -> ModelVersion:
    """Give a version the name of its run, which one that was cut off may lack."""
    if version.description:
        return version
    title = client.get_run(version.run_id).info.run_name
    return client.update_model_version(version.name, version.version, title)


def update_facts(client: MlflowClient, version: ModelVersion, facts: Mapping[str, str]) -> None:
    """Note figures on other data: the same classifier may meet another validation or test set."""
    for key, value in facts.items():
        if key.startswith(("data.", "validation.")) and version.tags.get(key) != value:
            client.set_model_version_tag(version.name, version.version, key, value)
            version.tags[key] = value


def champion_of(client: MlflowClient, name: str) -> str | None:
    """The number of the version that has the alias."""
    found = client.search_registered_models(f"name = '{name}'")
    number = found[0].aliases.get(ALIAS) if found else None
    return None if number is None else str(number)


def choose_champion(client: MlflowClient, version: ModelVersion, *, force: bool = False) -> str:
    """Move the alias to a version that earns it; returns a line that says what happened and why."""
    name, number = version.name, str(version.version)
    champion = champion_of(client, name)
    if champion == number:
        return f"{ALIAS}: version {number}, as before"
    better, reason = True, "the first one"
    if champion is not None:
        better, reason = compare(version.tags, client.get_model_version(name, champion).tags)
    if not (better or force):
        return f"{ALIAS}: version {champion}, as before: {reason}"
    client.set_registered_model_alias(name, ALIAS, number)
    return f"{ALIAS}: version {number}: {reason}"


def compare(challenger: Mapping[str, str], champion: Mapping[str, str]) -> tuple[bool, str]:
    """Whether the challenger does better on validation, by accuracy and then by loss, and a reason.

    Versions that were trained or measured on other data do not compare. Of one classifier with two
    decisions, the challenger's is the one that was asked for last.
    """
    digest = challenger.get("classifier_sha256")
    if digest is not None and digest == champion.get("classifier_sha256"):
        return True, "the same classifier with another decision"
    keys = {split: f"data.{split}.sha256" for split in SPLITS}
    differ = [split for split, key in keys.items() if challenger[key] != champion.get(key)]
    if differ:
        data = " and ".join(differ)
        return False, f"the {data} data differ, so that the two do not compare (see --force)"
    (accuracy, loss), (champion_accuracy, champion_loss) = (
        [float(facts[f"validation.{figure}"]) for figure in FIGURES]
        for facts in (challenger, champion)
    )
    better = (accuracy, -loss) > (champion_accuracy, -champion_loss)
    return better, (
        f"validation accuracy {accuracy:.4f} against {champion_accuracy:.4f}, "
        f"loss {loss:.4f} against {champion_loss:.4f}"
    )


if __name__ == "__main__":
    main()

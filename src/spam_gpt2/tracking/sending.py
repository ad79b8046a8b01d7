"""What the stages that send to MLflow have in common: a failure never costs a result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from spam_gpt2.common.console import say, warn
from spam_gpt2.common.files import InputError
from spam_gpt2.common.params import Params
from spam_gpt2.common.secrets import without_secrets
from spam_gpt2.tracking.mlflow_run import add_to_run

SEND = "dvc repro --single-item --force"


def send(stage: str, params: Params, sender: Callable[[], str]) -> str:
    """Call what sends; returns what became of it, the same words each time.

    Args:
        stage: as dvc.yaml names it, to be run again after a failure.
        sender: returns what became of it.
    """
    if not params.track.enabled:
        say("track.enabled is false: nothing is sent to MLflow")
        return "not sent to MLflow: track.enabled is false"
    try:
        return sender()
    except Exception as error:  # whatever the store does, the results are in files already
        warn(
            f"MLflow did not take this run ({reason(error)}); every result is in metrics/ and "
            f"plots/. To send it later: `{SEND} {stage}`"
        )
        return "not sent to MLflow, which did not take it"


def reason(error: Exception) -> str:
    """An error in one line. Ours are never cut: they end in what to do."""
    said = without_secrets(" ".join(str(error).split())) or type(error).__name__
    return said if isinstance(error, InputError) else said[:300]


def send_later_results(
    stage: str, params: Params, metrics: Sequence[str], stages: Sequence[str]
) -> str:
    """Add results to the run that has the classifier; as `send`, whose arguments these are.

    Args:
        metrics: names of files in `metrics/`.
        stages: those that made them.
    """

    def add() -> str:
        run_id = add_to_run(Path(), params.model_dump(), params.track.experiment, metrics, stages)
        if run_id is None:
            warn(
                "MLflow has no run of this classifier, which another machine, another store or "
                f"nobody has tracked; to send all: `{SEND} track {stage}`"
            )
            return "not sent to MLflow, which has no run of this classifier"
        say(f"added to MLflow run {run_id}")
        return "sent to MLflow"

    return send(stage, params, add)

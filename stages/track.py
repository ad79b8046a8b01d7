"""Send this execution of the pipeline to MLflow as one run; a failure never costs a result."""

from __future__ import annotations

from pathlib import Path

from spam_gpt2.common.console import run_stage, say, warn
from spam_gpt2.common.files import InputError, write_text
from spam_gpt2.common.params import load_params
from spam_gpt2.common.secrets import without_secrets
from spam_gpt2.tracking.mlflow_run import log_run

# An output of the stage, so that a new clone, which lacks it, sends its first result, too.
TRACKED_PATH = Path("reports/tracked.txt")


def main() -> None:
    write_text(TRACKED_PATH, track() + "\n")


def track() -> str:
    """What became of it, without anything that differs from one time to the next."""
    params = load_params()
    if not params.track.enabled:
        say("track.enabled is false: nothing is sent to MLflow")
        return "not sent to MLflow: track.enabled is false"
    try:
        run_id = log_run(Path(), params.model_dump(), params.track.experiment)
    except Exception as error:  # whatever the store does, the results are in files already
        reason = without_secrets(" ".join(str(error).split())) or type(error).__name__
        if not isinstance(error, InputError):  # ours end in what to do
            reason = reason[:300]
        warn(
            f"MLflow did not take this run ({reason}); every result is in metrics/ and plots/. "
            "To send it later: `dvc repro --single-item --force track`"
        )
        return "not sent to MLflow, which did not take it"
    say(f"MLflow run {run_id}; `make mlflow` shows it")
    return "sent to MLflow"


if __name__ == "__main__":
    run_stage(main, __file__)

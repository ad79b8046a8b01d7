"""Send this execution of the pipeline to MLflow as one run; a failure never costs a result."""

from __future__ import annotations

from pathlib import Path

from spam_gpt2.common.console import run_stage, say
from spam_gpt2.common.files import write_text
from spam_gpt2.common.params import load_params
from spam_gpt2.tracking.mlflow_run import log_run
from spam_gpt2.tracking.sending import send

# An output of the stage, so that a new clone, which lacks it, sends its first result, too. It says
# what became of it, without anything that differs from one time to the next.
TRACKED_PATH = Path("reports/tracked.txt")


def main() -> None:
    params = load_params()

    def start_run() -> str:
        run_id = log_run(Path(), params.model_dump(), params.track.experiment)
        say(f"MLflow run {run_id}; `make mlflow` shows it")
        return "sent to MLflow"

    write_text(TRACKED_PATH, send("track", params, start_run) + "\n")


if __name__ == "__main__":
    run_stage(main, __file__)

"""Send this execution of the pipeline to MLflow as one run; a failure never costs a result."""

from pathlib import Path

from spam_gpt2.console import run_stage, say, warn
from spam_gpt2.params import load_params
from spam_gpt2.tracking import log_run


def main() -> None:
    params = load_params()
    if not params.track.enabled:
        say("track.enabled is false: nothing is sent to MLflow")
        return
    try:
        run_id = log_run(Path(), params.model_dump(), params.track.experiment)
    except Exception as error:  # whatever the store does, the results are in files already
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        warn(
            f"MLflow did not take this run ({reason}); every result is in metrics/ and plots/. "
            "To send it later: `dvc repro --single-item --force track`"
        )
        return
    say(f"MLflow run {run_id}; `make mlflow` shows it")


if __name__ == "__main__":
    run_stage(main, __file__)

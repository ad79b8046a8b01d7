"""Check params.yaml whole, before any other stage works: a wrong key stops the pipeline here."""

from pathlib import Path

from spam_gpt2.common.console import run_stage
from spam_gpt2.common.files import write_text
from spam_gpt2.common.params import load_params
from spam_gpt2.common.project import check_is_there

# Always the same text: the stages that wait for this one re-run for their own parameters only.
CHECKED_PATH = Path("reports/params_checked.txt")


def main() -> None:
    values = load_params().model_dump()
    check_is_there(Path(values["prepare"]["path"]), "prepare.path")
    write_text(CHECKED_PATH, "params.yaml holds every parameter, of the right type and in range\n")


if __name__ == "__main__":
    run_stage(main, __file__)

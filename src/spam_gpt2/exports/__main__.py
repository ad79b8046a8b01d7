"""Export the classifier: `python -m spam_gpt2.exports huggingface` or `onnx`, or both."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import numpy as np

from spam_gpt2.classifier.predict import WEIGHTS_DIR
from spam_gpt2.common.console import one_line_errors, say
from spam_gpt2.common.extras import need
from spam_gpt2.common.files import InputError
from spam_gpt2.exports.folders import megabytes, whole_folder
from spam_gpt2.exports.fresh import (
    HUGGING_FACE_PROGRAM,
    ONNX_PROGRAM,
    answers,
    check_equal,
    token_rows,
)
from spam_gpt2.exports.huggingface import check_expressible, write_huggingface
from spam_gpt2.exports.onnx_model import INT8_FILE, MODEL_FILE, quantize, write_onnx
from spam_gpt2.exports.trial import Trial

CARD_PATH = Path("reports/model_card.md")
OUT_DIR = Path("exports")
FORMS = ("huggingface", "onnx")
DESCRIPTION = """Write the classifier that `dvc repro` trained in forms that other programs read.
Each is loaded again in a process without this project and compared on the whole test set before it
takes its place."""


def parser() -> argparse.ArgumentParser:
    """The command line, as --help shows it."""
    it = argparse.ArgumentParser(prog="python -m spam_gpt2.exports", description=DESCRIPTION)
    it.add_argument(
        "forms", nargs="*", metavar="FORM", help="huggingface or onnx; both where none is named"
    )
    it.add_argument(
        "--output", type=Path, default=OUT_DIR, metavar="DIR",
        help="each form gets a folder below it (%(default)s)",
    )  # fmt: skip
    return it


def main() -> None:
    """Parse the command line, export, and turn errors of the input into one line."""
    args = parser().parse_args()
    for form in args.forms:
        if form not in FORMS:
            parser().error(f"{form}: choose {' or '.join(FORMS)}")
    with one_line_errors(args.output):
        run(args.forms or list(FORMS), args.output)


def run(forms: list[str], out_dir: Path) -> None:
    """Export to folders of the forms' names below `out_dir`, and print what was compared."""
    if "huggingface" in forms:
        need("transformers")
    if "onnx" in forms:
        need("onnx", "onnxscript", "onnxruntime")
    trial = Trial.load()
    if "huggingface" in forms:
        check_expressible(trial.predictor.card)
        print(export_huggingface(trial, out_dir / "huggingface"))
    if "onnx" in forms:
        for line in export_onnx(trial, out_dir / "onnx"):
            print(line)


def export_huggingface(trial: Trial, out_dir: Path) -> str:
    """Write the folder; returns the line that says what came out."""
    it = trial.predictor
    with whole_folder(out_dir) as folder:
        write_huggingface(folder, it.classifier, it.card, WEIGHTS_DIR, it.tokenizer.eot_token)
        if CARD_PATH.is_file():
            shutil.copyfile(CARD_PATH, folder / "README.md")
        else:
            say(f"no model card goes with it: {CARD_PATH} is missing; `make report` writes it")
        logits = answers(HUGGING_FACE_PROGRAM, folder, trial.texts)
        difference = check_equal(logits, trial.logits, "huggingface", it.card)
    return _line(out_dir, trial, logits, difference)


def export_onnx(trial: Trial, out_dir: Path) -> list[str]:
    """Write the folder; returns a line for the model and one for its 8-bit version."""
    it, rows = trial.predictor, token_rows(trial.messages)
    with whole_folder(out_dir) as folder:
        write_onnx(folder, it.classifier, it.card, WEIGHTS_DIR, it.tokenizer.eot_token)
        logits = answers(ONNX_PROGRAM, folder / MODEL_FILE, rows)
        difference = check_equal(logits, trial.logits, MODEL_FILE, it.card)
        quantize(folder / MODEL_FILE, folder / INT8_FILE)
        rounded = answers(ONNX_PROGRAM, folder / INT8_FILE, rows)
        if not np.isfinite(rounded).all():
            raise InputError(f"{INT8_FILE}: answers that are no numbers; nothing was written")
    return [
        _line(out_dir / MODEL_FILE, trial, logits, difference),
        _line(out_dir / INT8_FILE, trial, rounded, None),
    ]


def _line(path: Path, trial: Trial, logits: np.ndarray, difference: float | None) -> str:
    equal = "" if difference is None else f", logits equal within {max(difference, 1e-7):.0e}"
    count, flips = len(trial.texts), trial.flips(logits)
    labels = "no label differs" if not flips else f"{flips} labels differ"
    return f"{path}: {megabytes(path):.1f} MB; {count:,} test messages{equal}, {labels}"


if __name__ == "__main__":
    main()

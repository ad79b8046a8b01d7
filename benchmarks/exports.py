"""The exports against the classifier itself: size, accuracy, labels that differ, time a message.

    python benchmarks/exports.py            # after `make export`, in the project's folder

One message at a time, as a server gets them, tokens to logits, in one thread; the median of rounds.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from spam_gpt2.classifier.predict import CLASSIFIER_DIR, WEIGHTS_DIR
from spam_gpt2.common.console import one_line_errors, progress
from spam_gpt2.common.extras import need
from spam_gpt2.common.files import InputError
from spam_gpt2.common.markdown import table
from spam_gpt2.data.messages import read_split
from spam_gpt2.exports.__main__ import OUT_DIR
from spam_gpt2.exports.folders import megabytes
from spam_gpt2.exports.fresh import token_rows
from spam_gpt2.exports.onnx_model import INT8_FILE, MODEL_FILE
from spam_gpt2.exports.trial import TEST_PATH, Trial

ROUNDS = 3
Answer = Callable[[list[int]], np.ndarray]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--exports", type=Path, default=OUT_DIR, help="folder (%(default)s)")
    arguments.add_argument("--messages", type=int, help="the first of the test set; without, all")
    with one_line_errors():
        need("transformers", "onnxruntime")
        torch.set_num_threads(1)
        args = arguments.parse_args()
        print(compare(Trial.load(), args.exports, args.messages))


def compare(trial: Trial, exports_dir: Path, count: int | None) -> str:
    """The table, in Markdown."""
    onnx_dir, hf_dir = exports_dir / "onnx", exports_dir / "huggingface"
    paths = {"Hugging Face": hf_dir, "ONNX": onnx_dir / MODEL_FILE, "int8": onnx_dir / INT8_FILE}
    for path in paths.values():
        if not path.exists():
            raise InputError(f"{path}: no such file; `make export` writes it")
    answers = {"ours": ours(trial), "Hugging Face": hugging_face(hf_dir)}
    answers |= {name: onnx(path) for name, path in paths.items() if path.suffix}
    rows = token_rows(trial.messages)[:count]
    labels = read_split(TEST_PATH)["label"].to_numpy()[:count]
    expected = trial.logits[:count]
    names = np.array(trial.predictor.card.labels)
    logits, milliseconds = measured(answers, rows)
    sizes = {name: megabytes(path) for name, path in paths.items()}
    sizes["ours"] = megabytes(WEIGHTS_DIR) + megabytes(CLASSIFIER_DIR)
    header = ["", "MB", "test accuracy", "labels that differ", "largest difference", "ms a message"]
    lines = [
        [
            name,
            f"{sizes[name]:,.1f}",
            f"{(names[found.argmax(1)] == labels).mean():.2%}",
            f"{(found.argmax(1) != expected.argmax(1)).sum()} of {len(rows)}",
            f"{np.abs(found - expected).max():.1e}",
            f"{milliseconds[name]:.2f}",
        ]
        for name, found in logits.items()
    ]
    return table(header, lines)


def measured(
    answers: dict[str, Answer], rows: list[list[int]]
) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """Logits of all rows, and milliseconds a message; the forms take turns in every round."""
    logits, rounds = {}, {name: [] for name in answers}
    for _ in progress(range(ROUNDS), desc="rounds"):
        for name, answer in answers.items():
            began = time.perf_counter()
            logits[name] = np.concatenate([answer(row) for row in rows])
            rounds[name].append((time.perf_counter() - began) / len(rows) * 1e3)
    return logits, {name: statistics.median(times) for name, times in rounds.items()}


def ours(trial: Trial) -> Answer:
    classifier = trial.predictor.classifier

    def answer(row: list[int]) -> np.ndarray:
        runs = [(1, len(row))]
        with torch.inference_mode():
            return classifier.above(classifier.gpt2.embed(torch.tensor(row), runs), runs, 0).numpy()

    return answer


def hugging_face(folder: Path) -> Answer:
    from transformers import AutoModelForSequenceClassification
    from transformers.utils import logging

    logging.disable_progress_bar()
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()

    def answer(row: list[int]) -> np.ndarray:
        with torch.inference_mode():
            return model(torch.tensor([row])).logits.numpy()

    return answer


def onnx(path: Path) -> Answer:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def answer(row: list[int]) -> np.ndarray:
        ids = np.array([row], dtype=np.int64)
        given = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
        return session.run(None, given)[0]

    return answer


if __name__ == "__main__":
    main()

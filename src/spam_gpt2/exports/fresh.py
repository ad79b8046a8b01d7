"""Exports are loaded again in a process without this project, and answer the whole test set.

The programs below are what anyone would write who has nothing but the folder.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from spam_gpt2.classifier.artifacts import Card
from spam_gpt2.common.download import scratch_folder
from spam_gpt2.common.files import InputError
from spam_gpt2.features.features import BATCH_TOKENS
from spam_gpt2.gpt2.batching import Messages, concatenate, token_batches
from spam_gpt2.gpt2.head import GPT2Classifier

# Of a logit, relative to the largest: both sides compute in float32, in another order.
TOLERANCE = 1e-4

COMMON = """
import json, os, sys
os.environ["HF_HUB_OFFLINE"] = "1"
import numpy as np
model, given, out = sys.argv[1:4]
rows = json.load(open(given, encoding="utf-8"))
"""
HUGGING_FACE_PROGRAM = (
    COMMON
    + """
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer
from transformers.utils import logging
logging.set_verbosity_error()
logging.disable_progress_bar()
torch.set_num_threads(int(sys.argv[4]))
tokenizer = AutoTokenizer.from_pretrained(model)
classifier = AutoModelForSequenceClassification.from_pretrained(model).eval()
logits = []
with torch.inference_mode():
    for first in range(0, len(rows), 8):
        some = rows[first : first + 8]
        length = None if any(some) else 1
        padding = "longest" if any(some) else "max_length"
        batch = tokenizer(
            some, padding=padding, max_length=length, truncation=True, return_tensors="pt"
        )
        batch["attention_mask"][:, 0] = 1  # an empty message is one <|endoftext|>
        logits.append(classifier(**batch).logits.numpy())
assert "spam_gpt2" not in sys.modules
np.save(out, np.concatenate(logits))
"""
)
ONNX_PROGRAM = (
    COMMON
    + """
import onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = int(sys.argv[4])
session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
logits = []
for first in range(0, len(rows), 8):
    some = rows[first : first + 8]
    longest = max(map(len, some))
    ids = np.array([row + [0] * (longest - len(row)) for row in some], dtype=np.int64)
    mask = np.array([[1] * len(r) + [0] * (longest - len(r)) for r in some], dtype=np.int64)
    (found,) = session.run(None, {"input_ids": ids, "attention_mask": mask})
    logits.append(found)
assert "spam_gpt2" not in sys.modules and "torch" not in sys.modules
np.save(out, np.concatenate(logits))
"""
)


def answers(program: str, model: Path, rows: Sequence[str] | Sequence[list[int]]) -> np.ndarray:
    """Logits, (n, K), that a program gets from a model in a Python of its own.

    Python runs isolated (`-I`): neither PYTHONPATH nor the folder lead it to this project.

    Raises: InputError with the last line of what it complains about.
    """
    with scratch_folder() as scratch:
        given, out = Path(scratch) / "rows.json", Path(scratch) / "logits.npy"
        given.write_text(json.dumps(rows), encoding="utf-8")
        command = [sys.executable, "-I", "-c", program, str(model.absolute()), str(given), str(out)]
        command.append(str(torch.get_num_threads()))
        done = subprocess.run(
            command, cwd=scratch, capture_output=True, text=True, errors="replace"
        )
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
            raise InputError(f"{model.name}: cannot be loaded again: {reason[:300]}")
        return np.load(out, allow_pickle=False)


def our_logits(classifier: GPT2Classifier, messages: Messages) -> np.ndarray:
    """Logits, (n, K), of messages in their order, as the command line computes them."""
    found = torch.empty(len(messages.lengths), classifier.head.out_features)
    with torch.inference_mode():
        for indices in token_batches(messages.lengths, BATCH_TOKENS):
            tokens, runs = concatenate(messages.tokens, messages.offsets, indices)
            found[indices] = classifier.above(classifier.gpt2.embed(tokens, runs), runs, 0)
    return found[messages.rows].numpy()


def token_rows(messages: Messages) -> list[list[int]]:
    """The token ids of every message, in their order."""
    distinct = [part.tolist() for part in messages.tokens.tensor_split(messages.offsets[1:-1])]
    return [distinct[row] for row in messages.rows.tolist()]


def largest_difference(found: np.ndarray, ours: np.ndarray) -> float:
    """Between two logits, relative to the largest of ours, or to 1."""
    return float(np.abs(found - ours).max() / max(1.0, np.abs(ours).max()))


def check_equal(found: np.ndarray, ours: np.ndarray, what: str, card: Card) -> float:
    """The largest difference. Raises: InputError when it is above TOLERANCE."""
    difference = largest_difference(found, ours)
    if not difference <= TOLERANCE:  # NaN, too
        raise InputError(
            f"{what}: computes something else than the classifier on {card.weights}: logits differ "
            f"by {difference:.1e} of the largest, above {TOLERANCE:g}; nothing was written"
        )
    return difference

"""Are classifiers of both precisions equally good? The pipeline in float32 and in bfloat16.

    python benchmarks/precisions_agree.py [--checkpoint FOLDER]

Runs the stages up to `evaluate` twice in a temporary copy of the project and compares what both say
of the test messages: McNemar's exact test. The checkpoint is the embedded stand-in, or another in
OpenAI's layout.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

from workspace import Workspace

from spam_gpt2.common.files import read_json
from spam_gpt2.evaluation.comparison import Comparison
from spam_gpt2.evaluation.predictions import Predicted, label_ids, read_predictions

PRECISIONS = ("float32", "bfloat16")
CONFIDENCE = 0.95


def predictions(work: Workspace, labels: list[str], precision: str) -> Predicted:
    """What the classifier that is trained in a precision says of the test messages."""
    work.set({"compute": {"device": "cpu", "precision": precision}})
    work.run("dvc", "repro", "evaluate")
    return read_predictions(work.folder / "data/predictions/gpt2/test.csv", labels)


def lines(found: list[Predicted], labels: list[str]) -> Iterator[str]:
    """What is printed of the predictions in the two precisions."""
    right = [p.argmax(1) == label_ids(messages, labels) for messages, p in found]
    for precision, is_right in zip(PRECISIONS, right, strict=True):
        yield f"{precision}: accuracy {is_right.mean():.4f}"
    apart = abs(found[0][1] - found[1][1])
    yield f"Probabilities differ by {apart.mean():.1e} in the mean, {apart.max():.1e} at most."
    yield Comparison.of(*right).verdict("test", *PRECISIONS, CONFIDENCE)


def main() -> None:
    """Print the test's result and by how much probabilities differ."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", type=Path, help="folder in OpenAI's layout (the stand-in)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="spam-gpt2-bench-") as folder:
        checkpoint_dir = args.checkpoint and args.checkpoint.resolve()
        work = Workspace(Path(folder) / "project", checkpoint_dir)
        work.run("dvc", "repro", "prepare")
        labels = read_json(work.folder / "data/prepared/labels.json")
        found = [predictions(work, labels, precision) for precision in PRECISIONS]
    print("\n".join(lines(found, labels)))


if __name__ == "__main__":
    main()

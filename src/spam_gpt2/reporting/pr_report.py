"""What a change does to the results, as a comment: `make pr-report BASE=main`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from spam_gpt2.common.console import one_line_errors, say
from spam_gpt2.common.files import InputError, write_text
from spam_gpt2.common.markdown import code, escape, fit, table, warning
from spam_gpt2.figures.confusion import confusion_title, save_confusion_matrix
from spam_gpt2.figures.style import MODELS
from spam_gpt2.reporting.fold_words import FOLDS, folds_section
from spam_gpt2.reporting.movements import movements_section
from spam_gpt2.reporting.pr_sections import (
    NOTHING,
    SIDES,
    Pair,
    confusion_matrices,
    confusion_section,
    figures_section,
    metrics_sections,
    parameters_section,
)
from spam_gpt2.reporting.revisions import PARAMS, Results, at_merge_base, in_working_tree
from spam_gpt2.reporting.summary import STAND_IN

MAIN = "gpt2"  # its metrics file goes first and names the weights
CUT = "*The report is too long for a comment. What is left out is in `full.md`, beside it.*"


def report(before: Results, after: Results) -> list[str]:
    """The comment's sections in Markdown, the most telling first."""
    stems = sorted({**after.metrics, **before.metrics}, key=lambda stem: stem != MAIN)
    pairs = [
        Pair(stem, before.metrics.get(stem, {}), after.metrics.get(stem, {})) for stem in stems
    ]
    moved = movements_section([movement for pair in pairs for movement in pair.movements])
    folds = [folds_section(*pair.sides) for pair in pairs if pair.stem == FOLDS]
    tests = figures_section(pairs, same_test_set(before, after))
    parameters = parameters_section(before, after)
    matrices = confusion_matrices(pairs)
    files = list(metrics_sections(pairs))
    if tests or parameters or files or any(text for *_, text in matrices):
        changes = [*folds, tests, parameters, confusion_section(matrices), *files]
    else:
        changes = ["Nothing changes: metrics, parameters and confusion matrices are the same."]
    return [
        "## What this changes in the results",
        *warnings(before, after),
        *filter(None, [moved, sides_section(before, after), *changes]),
    ]


def warnings(before: Results, after: Results) -> Iterator[str]:
    """What makes this another comparison than it seems: weights, test sets, results out of date."""
    weights = weights_of(before), weights_of(after)
    if all(weights) and weights[0] != weights[1]:
        yield warning(
            f"**The two sides are made with different weights**: {weights[0]} before, {weights[1]} "
            "after. What differs is not the effect of this change alone."
        )
    if same_test_set(before, after) is False:
        yield warning(
            "**The test sets differ**, by their digests in `dvc.lock`: the two sides' figures are "
            "of different messages."
        )
    if stale := after.stale_parameters():
        yield warning(
            f"**The results are not those of `{PARAMS}`**: by `dvc.lock` they were made with other "
            f"values of {', '.join(map(code, stale))}. Run `dvc repro` and commit what it writes."
        )


def sides_section(before: Results, after: Results) -> str:
    """Which revision and which weights stand on either side."""
    rows = [
        [name, side.name, weights_of(side) or NOTHING]
        for name, side in zip(SIDES, (before, after), strict=True)
    ]
    note = f"\n\n{STAND_IN} is the small stand-in: its figures say nothing about GPT-2."
    has_stand_in = any(STAND_IN in row[2] for row in rows)
    return table(["", "revision", "weights"], rows) + (note if has_stand_in else "")


def weights_of(results: Results) -> str:
    """Name and digest of the weights behind the results of GPT-2, in Markdown."""
    gpt2 = results.metrics.get(MAIN, {})
    digest = gpt2.get("weights_sha256", "")[:12]
    return " ".join([escape(gpt2.get("weights", "")), *([code(digest)] if digest else [])])


def same_test_set(before: Results, after: Results) -> bool | None:
    """By the lock files; None where one does not say."""
    digests = before.test_digest, after.test_digest
    return None if None in digests else digests[0] == digests[1]


def save_pictures(folder: Path, results: Results) -> None:
    """A picture of every confusion matrix of one side; those of an earlier report are removed."""
    for path in folder.glob("*_confusion_*.png"):
        path.unlink()
    for stem, metrics in results.metrics.items():
        for split, counts in metrics.get("confusion", {}).items():
            title = confusion_title(MODELS.get(stem, stem), split, normalized=False)
            save_confusion_matrix(
                folder / f"{stem}_confusion_{split}.png",
                np.array(counts),
                metrics["labels"],
                f"{title}, {folder.name}",
                normalized=False,
                note=Pair(stem, {}, metrics).title,
            )


def write_report(root: Path, base: str, path: Path) -> None:
    """Write the comment to `path`, pictures beside it, and `full.md` where the comment is cut.

    Args:
        root: the project's folder, in a git repository.
        base: branch, tag or commit; compared is what HEAD's history has in common with it.

    Raises: InputError for a revision or file that cannot be read, OSError for one not written.
    """
    before, after = at_merge_base(root, base), in_working_tree(root)
    if not before.metrics and not after.metrics:
        raise InputError("metrics/: no file on either side; run this in the project's folder")
    sections = report(before, after)
    whole, comment = "\n\n".join(sections), fit(sections, CUT)
    for name, side in zip(SIDES, (before, after), strict=True):
        save_pictures(path.parent / name, side)
    full_path = path.with_name("full.md")
    full_path.unlink(missing_ok=True)  # of an earlier report
    if comment != whole:
        write_text(full_path, f"{whole}\n")
    write_text(path, f"{comment}\n")


def main() -> None:
    """Parse the command line, write the report, and turn errors of the input into one line."""
    parser = argparse.ArgumentParser(
        prog="python -m spam_gpt2.reporting.pr_report", description=__doc__
    )
    parser.add_argument("--base", default="main", help="branch, tag or commit (%(default)s)")
    parser.add_argument(
        "--output", type=Path, default=Path("pr-report/comment.md"), metavar="FILE",
        help="write the comment there, and pictures beside it (%(default)s)",
    )  # fmt: skip
    args = parser.parse_args()
    with one_line_errors(args.output):
        write_report(Path(), args.base, args.output)
    say(f"{args.output}: written, with pictures beside it")


if __name__ == "__main__":
    main()

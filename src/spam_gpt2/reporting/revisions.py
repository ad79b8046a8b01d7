"""The results that git keeps, at a revision or in the working tree."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from spam_gpt2.common.commands import git
from spam_gpt2.common.files import InputError
from spam_gpt2.common.nested import flat
from spam_gpt2.common.yaml_files import describe_yaml_error

PARAMS, PIPELINE, LOCK = FILES = ("params.yaml", "dvc.yaml", "dvc.lock")
TRACKED = ("metrics", *FILES)
TEST_SET = "data/prepared/test.csv"
ABSENT = object()


@dataclass(frozen=True)
class Results:
    """One side of a comparison; what it lacks is empty."""

    name: str  # for people, in Markdown
    metrics: dict[str, dict[str, Any]]  # by stem: `gpt2` is metrics/gpt2.json
    params: dict[str, Any]
    stages: dict[str, dict[str, Any]]  # of the pipeline, as the lock file has them

    @property
    def test_digest(self) -> str | None:
        """MD5 of the test set, by DVC's lock file."""
        for stage in self.stages.values():
            for file in (*stage.get("deps", []), *stage.get("outs", [])):
                if file["path"] == TEST_SET:
                    return file["md5"]
        return None

    def stale_parameters(self) -> list[str]:
        """Keys whose value in params.yaml is not the one that the lock file's stages ran with."""
        values = dict(flat(self.params))
        stale: set[str] = set()
        for stage in self.stages.values():
            for section, used in stage.get("params", {}).get(PARAMS, {}).items():
                ran_with = dict(flat({section: used}))
                keys = {key for key in values if f"{key}.".startswith(f"{section}.")} | {*ran_with}
                stale |= {k for k in keys if values.get(k, ABSENT) != ran_with.get(k, ABSENT)}
        return sorted(stale)


def at_revision(root: Path, revision: str, name: str) -> Results:
    """Results as committed. Raises InputError for what git or a parser refuses."""
    listing = git(root, "ls-tree", "-r", "-z", "--name-only", revision, *TRACKED)
    paths = [path for path in listing.decode().split("\0") if _is_result(path)]
    contents = {path: git(root, "show", f"{revision}:./{path}") for path in paths}
    return _results(name, contents, where=f"{revision}:")


def in_working_tree(root: Path) -> Results:
    """Results as they lie in the folder, committed or not."""
    head = short(root, "HEAD")
    changes = git(root, "status", "--porcelain", "--", *TRACKED)
    paths = [*sorted(root.glob("metrics/*.json")), *(root / name for name in FILES)]
    contents = {p.relative_to(root).as_posix(): p.read_bytes() for p in paths if p.is_file()}
    return _results(f"working tree on {head}" if changes else head, contents)


def at_merge_base(root: Path, base: str) -> Results:
    """Results where HEAD's history left that of a branch, tag or commit.

    Raises InputError when there is no such revision, no common history, or no repository.
    """
    tip, head = _commit(root, base), _commit(root, "HEAD")
    unrelated = f"{base}: no commit in common with HEAD; a shallow clone has too little history"
    commit = git(root, "merge-base", tip, head, silent=unrelated).decode().strip()
    name = short(root, commit)
    return at_revision(
        root, commit, name if commit == tip else f"{name}, the merge base with `{base}`"
    )


def short(root: Path, revision: str) -> str:
    """A commit's abbreviated digest, in Markdown."""
    return f"`{git(root, 'rev-parse', '--short', _commit(root, revision)).decode().strip()}`"


def _commit(root: Path, revision: str) -> str:
    asked = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    return git(root, *asked, silent=f"{revision}: git knows no such revision").decode().strip()


def _is_result(path: str) -> bool:
    it = PurePosixPath(path)
    return path in FILES or (str(it.parent), it.suffix) == ("metrics", ".json")


class _Loader(yaml.SafeLoader):
    """YAML 1.2's floats, as DVC writes them: PyYAML takes 5e-05 for text."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?\d+[eE][-+]?\d+$"), list("-+0123456789")
)


def _results(name: str, contents: dict[str, bytes], where: str = "") -> Results:
    def read(path: str, parse: Callable[[bytes], Any]) -> dict[str, Any]:
        try:
            value = parse(contents.get(path, b"{}"))
        except (ValueError, yaml.YAMLError) as error:
            reason = describe_yaml_error(error)
            raise InputError(f"{where}{path}: cannot be read: {reason}") from None
        if not isinstance(value, dict):
            raise InputError(f"{where}{path}: keys with values were expected")
        return value

    metrics = {path: read(path, json.loads) for path in contents if path.endswith(".json")}
    for path, figures in metrics.items():
        _check_confusion(f"{where}{path}", figures)
    params, pipeline, lock = (read(path, lambda text: yaml.load(text, _Loader)) for path in FILES)
    current = pipeline.get("stages", {})  # the lock file keeps stages that are long gone
    return Results(
        name,
        metrics={PurePosixPath(path).stem: figures for path, figures in metrics.items()},
        params=params,
        stages={k: v for k, v in lock.get("stages", {}).items() if k.partition("@")[0] in current},
    )


def _check_confusion(where: str, metrics: dict[str, Any]) -> None:
    n_classes = len(metrics.get("labels", []))
    for split, counts in metrics.get("confusion", {}).items():
        if [len(row) for row in counts] != [n_classes] * n_classes:
            raise InputError(f"{where}: confusion.{split}: not a row and a column for each label")

"""What an interruption or a merge may leave of DVC's and git's files: healed, or told.

`python -m spam_gpt2.common.repair` runs before DVC, which then fails at every command.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import yaml

from spam_gpt2.common.commands import git
from spam_gpt2.common.console import one_line_errors, say
from spam_gpt2.common.files import InputError, write_text
from spam_gpt2.common.merges import RESOLVE, has_markers

RWLOCK_PATH = Path(".dvc/tmp/rwlock")  # who is at which file, of the processes that run
SECONDS = 2.0  # a DVC that runs beside us takes a tenth of that to write one of these
LOCK_PATHS = (Path("dvc.lock"), Path("reports/dvc.lock"))
WRITTEN = ("params.yaml", "experiments.yaml", "dvc.yaml", "plots/dvc.yaml", "reports/dvc.yaml")
STEPS = {
    "written": RESOLVE,
    "lock": "`git checkout --ours {path} && dvc repro && git add {path}`; what is missing is made",
    "metrics": "`git checkout --ours {path}`, then `dvc repro` makes it of the merged parameters",
}


def heal_state() -> None:
    """Refuse files with markers of a merge, and restore DVC's files that it cannot read.

    Raises: InputError for a merge that nobody has resolved.
    """
    kinds = {  # what a person wrote comes first: the rest is made of it
        "written": map(Path, WRITTEN),
        "lock": LOCK_PATHS,
        "metrics": sorted(Path("metrics").glob("*.json")),
    }
    for kind, paths in kinds.items():
        for path in paths:
            if path.is_file() and has_markers(path.read_text(encoding="utf-8", errors="replace")):
                steps = STEPS[kind].format(path=path)
                raise InputError(f"{path}: an unresolved merge; {steps}")
    for path in LOCK_PATHS:
        if path.is_file() and not settles(is_lock, path):
            heal(path)
    if RWLOCK_PATH.is_file() and not settles(is_rwlock, RWLOCK_PATH):
        RWLOCK_PATH.unlink(missing_ok=True)
        say(f"{RWLOCK_PATH} was cut off while DVC wrote it: removed")


def settles(is_whole: Callable[[Path], bool], path: Path) -> bool:
    """Whether a file is whole, now or when a DVC that runs beside us has written it."""
    until = time.monotonic() + SECONDS
    while path.is_file() and not is_whole(path):
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def is_rwlock(path: Path) -> bool:
    """Whether DVC can read its list of locks."""
    try:
        return isinstance(json.loads(path.read_text(encoding="utf-8")), dict)
    except (ValueError, FileNotFoundError):
        return False


def is_lock(path: Path) -> bool:
    """Whether DVC can read a lock file: a signal while DVC writes it leaves it empty or cut off."""
    try:
        return _is_lock(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, FileNotFoundError):
        return False


def _is_lock(text: str) -> bool:
    try:
        value = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError:
        return False
    if not isinstance(value, dict) or value.get("schema") != "2.0":
        return False
    stages = value.get("stages", {})
    return isinstance(stages, dict) and all(map(_is_stage, stages.values()))


def _is_stage(stage: object) -> bool:
    """As DVC's schema has it: a command, parameters of files, and files with a path each."""
    if not isinstance(stage, dict) or not isinstance(stage.get("cmd"), str | list):
        return False
    groups = [stage.get(kind, []) for kind in ("deps", "outs")]
    if not all(isinstance(group, list) for group in groups):
        return False
    params = stage.get("params", {})
    return (
        isinstance(params, dict)
        and all(isinstance(values, dict) for values in params.values())
        and all(_is_file(file) for group in groups for file in group)
    )


def _is_file(file: object) -> bool:
    if not isinstance(file, dict) or "path" not in file:
        return False
    texts = [file[key] for key in ("path", "md5", "hash") if key in file]
    return all(isinstance(text, str) for text in texts) and None not in file.values()


def heal(path: Path) -> None:
    """Put back the committed lock file, or none: DVC's cache of runs knows what was made since."""
    try:
        committed = git(Path(), "show", f"HEAD:./{path.as_posix()}").decode()
    except (InputError, UnicodeDecodeError):
        committed = ""
    if _is_lock(committed):
        write_text(path, committed)
        say(f"{path} was cut off while DVC wrote it: it is as committed again")
    else:
        path.unlink()
        say(f"{path} was cut off while DVC wrote it: DVC makes it anew")


def main() -> None:
    """Look at this folder."""
    with one_line_errors():
        heal_state()


if __name__ == "__main__":
    main()

"""Clones of the project, in which experiments run side by side.

DVC keeps the experiments that wait in one list of the repository, and `dvc exp run --temp` works
through all that it finds there: of two at a time, one may take the other's. In a clone it has a
list of its own. DVC's cache, MLflow's store and OpenAI's files remain the project's.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory

from configobj import ConfigObj

from spam_gpt2.common.commands import git, output_of

Workplaces = SimpleQueue[Path | None]  # those that are free; None is the project itself

# Whatever a user's settings make of a diff that a person is to read.
AS_APPLY_READS_IT = (
    "--binary", "--no-color", "--no-ext-diff", "--no-textconv",
    "--src-prefix=a/", "--dst-prefix=b/",
)  # fmt: skip
TMP_DIR = Path(".dvc/tmp")  # on the cache's disk, and out of git


@contextmanager
def workplaces(jobs: int) -> Iterator[Workplaces]:
    """Where experiments run, one at a time in each: the project itself, or clones of it."""
    free: Workplaces = SimpleQueue()
    with clones(jobs) if jobs > 1 else nullcontext([None]) as places:
        for place in places:
            free.put(place)
        yield free


@contextmanager
def clones(count: int) -> Iterator[list[Path]]:
    """Clones of the workspace, uncommitted changes included, that are thrown away at the end."""
    TMP_DIR.mkdir(parents=True, exist_ok=True)
    cache_dir = output_of("dvc", "cache", "dir").decode().strip()
    with TemporaryDirectory(prefix="clones-", dir=TMP_DIR, ignore_cleanup_errors=True) as folder:
        paths = [Path(folder).absolute() / str(number) for number in range(1, count + 1)]
        for path in paths:
            _clone(path)
            _share_cache(path, cache_dir)
        yield paths


def fetch_references(clone: Path, folder: str) -> None:
    """Take over the references of a clone that lie in a folder: DVC keeps experiments as such."""
    git(Path(), "fetch", "--quiet", "--no-tags", str(clone), f"+{folder}/*:{folder}/*")


def _clone(path: Path) -> None:
    git(Path(), "clone", "--quiet", "--shared", ".", str(path))
    if changes := git(Path(), "diff", *AS_APPLY_READS_IT, "HEAD"):
        git(path, "apply", "--whitespace=nowarn", "-", stdin=changes)
    for key in ("user.name", "user.email"):  # whoever commits in the project alone is known there
        value = git(Path(), "config", "--default", "", key).decode().strip()
        if value:
            git(path, "config", key, value)


def _share_cache(path: Path, cache_dir: str) -> None:
    """Let DVC use the project's settings and cache there, and leave nothing outside of it."""
    config = ConfigObj(".dvc/config.local", encoding="utf-8")  # as DVC does: it quotes a #
    config.filename = str(path / ".dvc/config.local")
    config.setdefault("cache", {})["dir"] = cache_dir
    config.setdefault("core", {})["site_cache_dir"] = str(path / TMP_DIR / "site")
    config.write()

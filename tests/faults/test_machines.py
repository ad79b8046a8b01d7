"""Machines that are set up otherwise: odd folders, no HOME, a C locale, Windows, one thread."""

from __future__ import annotations

import ast
import os
import shlex
import shutil
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from conftest import ROOT
from repository import ODD_NAME
from test_pipeline import ANALYSES, OUTPUTS, TARGETS, Clone, small_clone

from spam_gpt2.common import console
from spam_gpt2.common.download import download

SCRIPTS = sorted((ROOT / "stages").glob("*.py"))
SOURCES = [*SCRIPTS, *sorted((ROOT / "src").rglob("*.py")), *sorted((ROOT / "tests").rglob("*.py"))]
# Of Python's own modules; what others import of these, they import where it exists.
ONLY_UNIX = {"crypt", "curses", "fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog",
             "termios", "tty"}  # fmt: skip
RESERVED = {
    "con",
    "prn",
    "aux",
    "nul",
    *(f"{port}{n}" for port in ("com", "lpt") for n in range(10)),
}
REPORTS = [*ANALYSES, "reports/dvc.yaml:model_card", "reports/dvc.yaml:report"]


@pytest.fixture
def odd(tmp_path: Path, tiny_checkpoint_dir: Path) -> Clone:
    """A clone in a folder whose name has what addresses, shells and patterns take for their own."""
    folder = tmp_path / ODD_NAME
    folder.mkdir()
    return small_clone(folder, tiny_checkpoint_dir)


def stage(clone: Clone, name: str) -> str:
    """Run one stage as DVC does; what it prints."""
    return clone.run(sys.executable, f"stages/{name}.py")


# Folder names


def test_stages_run_in_a_folder_with_an_odd_name(odd: Clone, tmp_path: Path) -> None:
    for name in ("check_params", "prepare", "fetch_gpt2", "convert_gpt2"):
        stage(odd, name)
    assert odd.json("metrics/data.json")["splits"]["test"]["spam"] > 0
    assert (odd.folder / "models/gpt2/weights.safetensors").stat().st_size > 10_000
    assert [path.name for path in tmp_path.iterdir()] == [ODD_NAME]


TRACK = """
import sys
from pathlib import Path
from spam_gpt2.tracking.mlflow_run import open_store
client, experiment_id = open_store(Path(), "spam-gpt2")
run_id = client.create_run(experiment_id).info.run_id
client.log_text(run_id, "kept", "folder/note.txt")
path = client.download_artifacts(run_id, "folder/note.txt")
print(Path(path).read_text(), client.get_run(run_id).info.artifact_uri)
if sys.argv[1:]:
    client.delete_experiment(experiment_id)
"""


def test_mlflows_store_is_in_a_folder_with_an_odd_name(odd: Clone, tmp_path: Path) -> None:
    """The database and the files beside it; and the advice of a failure can be pasted."""
    kept, address = odd.run(sys.executable, "-c", TRACK, "delete").splitlines()[-1].split(" ", 1)
    assert kept == "kept"
    download(f"{address}/folder/note.txt", tmp_path / "copy")  # the address is a file's
    assert (odd.folder / "mlflow.db").is_file()
    assert len([*(odd.folder / "mlruns").rglob("note.txt")]) == 1
    assert {path.name for path in tmp_path.iterdir()} == {ODD_NAME, "copy"}
    for name in ("gpt2", "training", "baseline"):
        (odd.folder / "metrics").mkdir(exist_ok=True)
        (odd.folder / f"metrics/{name}.json").write_text("{}")
    line = stage(odd, "track").splitlines()[0]
    assert line.startswith("WARNING: MLflow did not take this run (MLflow's experiment spam-gpt2")
    remedy = line.split("`")[1]
    assert shlex.split(remedy)[1:-1] == ["mlflow", "experiments", "restore", "-x"]
    odd.run("sh", "-c", remedy)
    assert odd.run(sys.executable, "-c", TRACK).splitlines()[-1].startswith("kept ")


def test_an_address_of_a_folder_with_an_odd_name_is_a_source(odd: Clone, tmp_path: Path) -> None:
    source = tmp_path / ODD_NAME / "source"
    shutil.copytree(odd.folder / "models/gpt2-mini", source / "124M")
    odd.set(fetch_gpt2__sources=[source.as_uri()], fetch_gpt2__verify=False)
    stage(odd, "check_params")
    # A tiny model is no 124M, but it was found and read there.
    assert f"{source.as_uri()}/124M/hparams.json: this is no GPT-2 124M" in stage(odd, "fetch_gpt2")


@pytest.mark.full
def test_the_page_and_its_links_are_whole_in_a_folder_with_an_odd_name(odd: Clone) -> None:
    """All of the pipeline by DVC; a page opened there needs nothing that is named by a path."""
    for name in ("experiments.csv", "experiments.png"):
        shutil.copyfile(ROOT / "reports" / name, odd.folder / "reports" / name)
    assert len(odd.repro()) == 13
    assert len(odd.repro(*REPORTS)) >= len(REPORTS)
    for page in ("reports/index.html", "reports/plots.html"):
        path = odd.folder / page
        assert not path.exists() or ODD_NAME not in path.read_text(encoding="utf-8"), page
    assert ODD_NAME not in (odd.folder / "reports/model_card.md").read_text(encoding="utf-8")
    registered = odd.run(sys.executable, "-m", "spam_gpt2.tracking.registry")
    assert "version 1 is registered" in registered
    assert odd.repro() == []


# File systems without case


def files_of_ours() -> Iterator[Path]:
    """What git tracks, and what stages write."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    yield from map(Path, listed.stdout.decode().split("\0")[:-1])
    for name in ("dvc.yaml", "reports/dvc.yaml"):
        folder = Path(name).parent
        for stage in yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))["stages"].values():
            for kind in ("outs", "metrics", "plots"):
                for out in stage.get(kind, []):
                    yield folder / (out if isinstance(out, str) else next(iter(out)))


def test_no_two_files_differ_by_case_only() -> None:
    seen: dict[str, Path] = {}
    for path in files_of_ours():
        for each in (path, *path.parents):
            key = unicodedata.normalize("NFC", os.path.normpath(each)).casefold()
            assert os.path.normpath(seen.setdefault(key, each)) == os.path.normpath(each)
    assert len(seen) > 200


def test_no_name_is_one_that_windows_refuses() -> None:
    for path in files_of_ours():
        for part in path.parts:
            assert not set(part) & set('<>:"|?*\\'), path
            assert part == ".." or part[-1] not in ". ", path
            assert part.partition(".")[0].casefold() not in RESERVED, path


# Windows


def test_no_module_needs_what_windows_lacks() -> None:
    """An import of such a module stands in a `try` that catches its absence, or in a test."""
    for path in [path for path in SOURCES if "tests" not in path.parts]:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        guarded = {
            id(node) for t in ast.walk(tree) if isinstance(t, ast.Try) for node in ast.walk(t)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Import | ast.ImportFrom) and id(node) not in guarded:
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                assert not ONLY_UNIX & {*names, getattr(node, "module", "")}, path


WITHOUT = """
import runpy, sys
sys.modules["resource"] = None  # an import of it raises ImportError
sys.argv = sys.argv[1:]
sys.path.insert(0, "stages")
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.parametrize("name", ["check_params", "prepare"])
def test_a_stage_runs_without_resource(
    tmp_path: Path, tiny_checkpoint_dir: Path, name: str
) -> None:
    clone = small_clone(tmp_path, tiny_checkpoint_dir)
    stage(clone, "check_params")
    said = clone.run(sys.executable, "-c", WITHOUT, f"stages/{name}.py")
    assert f"{name} took " in said


def test_memory_is_0_where_nobody_knows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert console.peak_memory() > 10
    monkeypatch.setitem(sys.modules, "resource", None)
    monkeypatch.setattr(console.Path, "is_file", lambda path: False)  # no /proc
    assert console.peak_memory() == 0


def test_every_file_is_opened_with_its_encoding_named(
    tmp_path: Path, tiny_checkpoint_dir: Path
) -> None:
    """Windows would take another than UTF-8; Python warns of each such place that it comes by."""
    clone = small_clone(tmp_path, tiny_checkpoint_dir)
    stage(clone, "check_params")
    command = [sys.executable, "-X", "warn_default_encoding", "-W", "always::EncodingWarning"]
    said = clone.run(*command, "stages/prepare.py")
    said += clone.run(*command, "stages/fetch_gpt2.py")
    ours = [
        line
        for line in said.splitlines()
        if "EncodingWarning" in line and "site-packages" not in line
    ]
    assert [line for line in ours if "/stages/" in line or "/src/" in line] == []


# HOME, locale, threads

SETUPS = {
    "no HOME": {"HOME": None},
    "a HOME that cannot be written": {"HOME": "/proc"},
    "C locale": {"LC_ALL": "C"},
    "C locale, taken at its word": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
}


def set_up(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    for name, value in SETUPS[how].items():
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    for name in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "MPLCONFIGDIR"):
        monkeypatch.delenv(name, raising=False)


MESSAGES = "label,text\n" + "".join(
    f"{label},{text} größe 短信 {n}\n"
    for n in range(30)
    for label, text in [("ham", "ok"), ("spam", "€")]
)
DRAW = """
from pathlib import Path
from spam_gpt2.figures.confusion import save_confusion_matrix
import numpy as np
names = ["gr\\xf6\\xdfe", "b"]
save_confusion_matrix(Path("x.png"), np.eye(2, dtype=int), names, "test", normalized=False)
"""


@pytest.mark.parametrize("how", SETUPS)
def test_stages_and_pictures_are_made_all_the_same(
    how: str, tmp_path: Path, tiny_checkpoint_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone = small_clone(tmp_path, tiny_checkpoint_dir)
    (clone.folder / "messages.csv").write_text(MESSAGES, encoding="utf-8")
    made = []
    for each in (None, how):
        if each:
            set_up(monkeypatch, each)
        for name in ("check_params", "prepare", "fetch_gpt2"):
            stage(clone, name)
        clone.run(sys.executable, "-c", DRAW)
        made.append(clone.digests("data", "metrics") | {"x": (tmp_path / "x.png").read_bytes()})
        shutil.rmtree(tmp_path / "data/prepared")
    assert made[0] == made[1]
    assert any(path.startswith("data/prepared/") for path in made[0])


@pytest.mark.full
def test_all_of_the_pipeline_gives_the_same_bytes(
    tmp_path: Path, tiny_checkpoint_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By DVC, in one thread; then on one processor with no HOME, and so on."""
    plain = ones_results(tmp_path / "plain", tiny_checkpoint_dir)
    for number, how in enumerate(SETUPS):
        with monkeypatch.context() as patch:
            set_up(patch, how)
            patch.setenv("OMP_NUM_THREADS", "1")
            assert ones_results(tmp_path / str(number), tiny_checkpoint_dir) == plain, how


def ones_results(folder: Path, checkpoint_dir: Path) -> dict[str, str]:
    """Digests of all results of a new clone in one thread."""
    folder.mkdir()
    clone = small_clone(folder, checkpoint_dir)
    clone.set(compute__threads=1, fetch_gpt2__sources=["/no-such-folder"])
    assert len(clone.repro()) == 13
    assert clone.json("metrics/training.json")["threads"] == 1
    return clone.digests(*OUTPUTS)


# A merge


@pytest.mark.full
def test_a_merge_is_resolved_by_the_steps_that_are_told(
    tmp_path: Path, tiny_checkpoint_dir: Path
) -> None:
    """Two branches train otherwise; git cannot merge what their pipelines wrote."""
    clone = small_clone(tmp_path, tiny_checkpoint_dir)
    clone.repro(*TARGETS)
    commit_all(clone, "results")
    clone.run("git", "checkout", "-qb", "other")
    clone.set(finetune__learning_rate=0.02)
    clone.repro(*TARGETS)
    commit_all(clone, "other")
    clone.run("git", "checkout", "-q", "-")
    clone.set(finetune__learning_rate=0.005)
    clone.repro(*TARGETS)
    commit_all(clone, "ours")
    assert "CONFLICT" in clone.run("git", "merge", "other", check=False)
    told = []
    while line := clone.run(sys.executable, "-m", "spam_gpt2.common.repair", check=False):
        name = line.removeprefix("error: ").partition(":")[0]
        assert f"{name}: an unresolved merge; " in line
        assert name not in told
        told.append(name)
        if name == "params.yaml":
            keep_ours(clone.folder / name)
        else:
            clone.run("git", "checkout", "--ours", name)
        clone.run("git", "add", name)
    assert told[:2] == ["params.yaml", "dvc.lock"]
    assert "metrics/gpt2.json" in told
    clone.repro(*TARGETS)
    assert clone.json("metrics/training.json")["weights"] == "gpt2-mini"
    assert clone.repro() == []
    clone.run("git", "add", "--all")
    clone.run("git", "commit", "-qm", "merged")


def commit_all(clone: Clone, message: str) -> None:
    clone.run("git", "add", "--all")
    clone.run("git", "commit", "-qm", message)


def keep_ours(path: Path) -> None:
    """As someone would by hand: our lines, without the marks."""
    kept, side = [], "both"
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        if line.startswith(("<<<<<<< ", "=======", ">>>>>>> ")):
            side = {"<": "ours", "=": "theirs", ">": "both"}[line[0]]
        elif side != "theirs":
            kept.append(line)
    path.write_text("".join(kept), encoding="utf-8")

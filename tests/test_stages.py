"""The pipeline files say of each stage what its script needs: its code, its parameters, its files.

What they leave out would not make a stage run again; what they list too much would, for nothing.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml
from conftest import ROOT
from source_code import FIELDS, Key, imported_modules, package_of, params_read

STAGES_DIR = ROOT / "stages"
PIPELINES = [ROOT / "dvc.yaml", ROOT / "reports/dvc.yaml"]
PLOTS = ROOT / "plots/dvc.yaml"
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
# Where files lie that no stage makes, beside those at the top; experiments are run by hand.
SOURCES = (
    "stages/", "src/", "models/gpt2-mini/", "reports/experiments.", "data/feedback.csv",
)  # fmt: skip


@dataclass(frozen=True)
class Stage:
    """A stage of a pipeline file; all paths are relative to the project's folder."""

    name: str
    command: str
    deps: list[str]
    params: list[str]
    outs: list[str]

    @property
    def script(self) -> Path:
        return STAGES_DIR / f"{self.name}.py"

    @property
    def code(self) -> set[str]:
        """The dependencies that are code, or lie among it."""
        return {dep for dep in self.deps if dep.startswith(("stages/", "src/"))}


def relative(folder: Path, path: str) -> str:
    """A path of a pipeline file as seen from the project's folder, `${...}` filled in."""

    def value(match: re.Match) -> str:
        section, key = match[1].split(".")
        return str(PARAMS[section][key])

    return (folder / re.sub(r"\$\{([\w.]+)\}", value, path)).resolve().relative_to(ROOT).as_posix()


def names_of(entries: Iterable[str | dict[str, Any]]) -> list[str]:
    """Entries without their settings: DVC writes `path` or `path: {cache: false}`."""
    return [name for e in entries for name in (e if isinstance(e, dict) else [e])]


def read_stages(pipeline: Path) -> Iterator[Stage]:
    content = yaml.safe_load(pipeline.read_text(encoding="utf-8"))
    for name, values in content["stages"].items():
        folder = pipeline.parent / values.get("wdir", ".")

        def paths(*kinds: str, folder: Path = folder, values: dict[str, Any] = values) -> list[str]:
            return [relative(folder, p) for kind in kinds for p in names_of(values.get(kind, []))]

        yield Stage(
            name=name,
            command=values["cmd"],
            deps=paths("deps"),
            params=names_of(values.get("params", [])),
            outs=paths("outs", "metrics", "plots"),
        )


# Read by a script and not listed: how many processes make features changes no byte of them, and to
# watch a training changes nothing of it.
WITHOUT_EFFECT = {
    "finetune": {"track.enabled", "track.live"},
    "extract_features": {"compute.processes"},
    "extract_holdout": {"compute.processes"},
}

STAGES = [stage for pipeline in PIPELINES for stage in read_stages(pipeline)]
OUTS = [out for stage in STAGES for out in stage.outs]


def assert_none(problems: Iterable[str]) -> None:
    """Fail with all problems at once, a line each."""
    if lines := "\n".join(problems):
        pytest.fail(lines, pytrace=False)


def differences(stage: Stage, what: str, listed: set[str], needed: set[str]) -> Iterator[str]:
    for name in sorted(needed - listed):
        yield f"{stage.name}: {what} lacks {name}"
    for name in sorted(listed - needed):
        yield f"{stage.name}: {what} has {name}, which the script does not need"


def test_every_script_is_the_command_of_the_one_stage_that_bears_its_name() -> None:
    scripts = {path.stem for path in STAGES_DIR.glob("*.py")}
    names = [stage.name for stage in STAGES]
    wrong = [s for s in STAGES if s.command != f"python stages/{s.name}.py"]
    assert_none(
        [
            *(f"stages/{name}.py: no stage runs it" for name in sorted(scripts - set(names))),
            *(f"{name}: has no script" for name in sorted(set(names) - scripts)),
            *(f"{name}: is in two files" for name in sorted(set(names)) if names.count(name) > 1),
            *(f"{stage.name}: runs `{stage.command}`" for stage in wrong),
        ]
    )


def test_scripts_are_short() -> None:
    lengths = {p.name: len(p.read_text().splitlines()) for p in STAGES_DIR.glob("*.py")}
    assert_none(f"stages/{name}: {n} lines" for name, n in lengths.items() if n >= 80)


def test_a_stage_depends_on_its_script_and_the_packages_that_this_reaches() -> None:
    problems = []
    for stage in STAGES:
        reached = {f"src/spam_gpt2/{package_of(path)}" for path in imported_modules(stage.script)}
        needed = {f"stages/{stage.script.name}", *reached}
        problems += differences(stage, "deps", stage.code, needed)
    assert_none(problems)


def test_a_change_of_the_training_does_not_run_the_frozen_blocks_again() -> None:
    trained = {f"src/spam_gpt2/{package}" for package in ("classifier", "training")}
    extracting = [stage for stage in STAGES if stage.name.startswith(("plan_", "extract_"))]
    assert [stage.name for stage in extracting] == [
        "plan_features", "extract_features", "extract_holdout",
    ]  # fmt: skip
    assert not any(stage.code & trained for stage in extracting)


# What takes long to import, and which stages of an experiment have a use for it.
HEAVY = {
    "torch": {"finetune", "evaluate", "evaluate_holdout"},
    "sklearn": {"evaluate"},
    "scipy": {"evaluate"},
    "matplotlib": {"finetune", "evaluate"},
    "mlflow": set(),  # `track` imports it once it is to send something
}
IMPORTED = "import sys, {stage}; print(*(name for name in {names} if name in sys.modules))"


@pytest.mark.parametrize(
    "stage", ["check_params", "finetune", "evaluate", "track", "evaluate_holdout"]
)
def test_an_experiment_imports_no_more_than_it_needs(stage: str) -> None:
    """These run for every other learning rate, and an import can take longer than their work."""
    code = IMPORTED.format(stage=stage, names=[*HEAVY])
    found = subprocess.run(
        [sys.executable, "-c", code],
        cwd=STAGES_DIR, check=True, text=True, stdout=subprocess.PIPE,
    ).stdout  # fmt: skip
    assert set(found.split()) == {name for name, stages in HEAVY.items() if stage in stages}


def spread(keys: Iterable[Key]) -> set[str]:
    """Sections and keys as `section.key`, a section as all of its keys."""
    return {
        f"{section}.{name}"
        for section, *key in keys
        for name in (key or FIELDS.get(section, ["(no such section)"]))
    }


def test_a_stage_depends_on_the_parameters_that_its_script_reads() -> None:
    problems = []
    for stage in STAGES:
        read = params_read(stage.script)
        if () in read:
            read = set()
            if "params.yaml" not in stage.deps:
                problems.append(
                    f"{stage.name}: deps lacks params.yaml, which the script reads whole"
                )
        elif "params.yaml" in stage.deps:
            problems.append(f"{stage.name}: deps has params.yaml, of which it reads a part only")
        listed = spread(tuple(name.split(".")) for name in stage.params)
        needed = spread(read) - WITHOUT_EFFECT.get(stage.name, set())
        problems += differences(stage, "params", listed, needed)
    assert_none(problems)


def test_who_checks_or_tracks_parameters_waits_for_them_all() -> None:
    assert_none(
        f"{stage.name}: deps lacks params.yaml"
        for stage in STAGES
        if stage.name in ("check_params", "track") and "params.yaml" not in stage.deps
    )


def test_git_leaves_out_what_dvc_keeps_and_has_the_rest() -> None:
    def ignored(path: str) -> bool:
        # Where git may not be asked, as in a download without .git, its own words fail the test.
        command = ["git", "check-ignore", "--quiet", "--no-index", path]
        return subprocess.run(command, cwd=ROOT, check=False).returncode == 0

    kept = {
        relative(pipeline.parent / values.get("wdir", "."), name)
        for pipeline in PIPELINES
        for values in yaml.safe_load(pipeline.read_text(encoding="utf-8"))["stages"].values()
        for entry in [*values.get("outs", []), *values.get("metrics", [])]
        for name, settings in (entry.items() if isinstance(entry, dict) else [(entry, {})])
        if settings.get("cache", True)
    }
    files = {out: f"{out}/file" if "." not in Path(out).name else out for out in OUTS}
    assert_none(
        [
            *(f".gitignore lacks {out}" for out in sorted(kept) if not ignored(files[out])),
            *(f".gitignore has {out}" for out in sorted({*OUTS} - kept) if ignored(files[out])),
        ]
    )


def test_nothing_is_listed_twice() -> None:
    assert_none(
        f"{stage.name}: lists {name} twice"
        for stage in STAGES
        for names in (stage.deps, stage.params)
        for name in {name for name in names if names.count(name) > 1}
    )


def test_no_two_outputs_are_the_same_or_within_each_other() -> None:
    assert_none(
        f"{one} and {other} overlap"
        for one, other in combinations(OUTS, 2)
        for short, long in [sorted((one, other), key=len)]
        if PurePosixPath(long).is_relative_to(short)
    )


def made_by_a_stage(path: str) -> bool:
    return any(PurePosixPath(path).is_relative_to(out) for out in OUTS)


def test_every_other_dependency_is_made_by_a_stage_or_part_of_the_project() -> None:
    def exists(path: str) -> bool:
        is_source = path.startswith(SOURCES) or "/" not in path
        return made_by_a_stage(path) or (is_source and (ROOT / path).exists())

    assert_none(
        f"{stage.name}: deps has {dep}, which no stage makes"
        for stage in STAGES
        for dep in stage.deps
        if not exists(dep)
    )


def test_the_copy_that_the_benchmark_times_has_all_that_no_stage_makes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    from workspace import Workspace

    copy = Workspace(tmp_path / "project", checkpoint_dir=None).folder
    needed = {dep for stage in read_stages(ROOT / "dvc.yaml") for dep in stage.deps}
    assert "stages/prepare.py" in needed
    assert_none(
        f"the copy lacks {path}"
        for path in sorted(needed)
        if not made_by_a_stage(path) and not (copy / path).exists()
    )


def plotted(entry: str | dict[str, Any]) -> list[str]:
    """The files of an entry of `plots`: its axes may name several, else its name is the file."""
    if isinstance(entry, str):
        return [entry]
    ((name, settings),) = entry.items()
    axes = [settings[axis] for axis in "xy" if isinstance((settings or {}).get(axis), dict)]
    return [path for axis in axes for path in axis] or [name]


def test_what_dvc_is_to_draw_is_made_by_a_stage() -> None:
    content = yaml.safe_load(PLOTS.read_text(encoding="utf-8"))
    drawn = {relative(PLOTS.parent, path) for e in content["plots"] for path in plotted(e)}
    assert len(drawn) > 10
    assert_none(f"no stage makes {path}" for path in sorted(drawn) if not made_by_a_stage(path))


SCRIPT = """
from spam_gpt2.common.params import load_params

def main():
    from spam_gpt2.data import sms_sources
    params = load_params()
    chosen, count = params.classifier, 5
    print(chosen.causal, params.finetune.epochs)
    helper(params.evaluate, more=load_params().baseline)
    params.prepare.model_dump()
    somewhere_else(params.track)

def helper(settings, *, more):
    return settings.seed + more.ngrams
"""


def test_the_tests_above_see_what_a_script_needs(tmp_path: Path) -> None:
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    read = {".".join(key) for key in params_read(path)}
    assert read == {
        "classifier.causal", "finetune.epochs", "evaluate.seed", "baseline.ngrams", "prepare",
        "track",
    }  # fmt: skip
    modules = imported_modules(path)
    names = {file.name for file in modules}
    assert names == {
        "params.py", "sms_sources.py", "download.py", "files.py", "console.py", "validation.py",
        "csv_injection.py", "text.py", "secrets.py", "http_request.py", "orphans.py", "merges.py",
        "yaml_files.py", "blocks.py", "folding.py", "timings.py", "launch.py", "message_files.py",
    }  # fmt: skip
    assert {package_of(file) for file in modules} == {"common", "data"}

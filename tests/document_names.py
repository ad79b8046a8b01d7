"""What a page of documentation names that is not there: files, parameters, values, words."""

from __future__ import annotations

import importlib
import importlib.util
import re
import subprocess
import tempfile
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from conftest import ROOT
from dvc.exceptions import DvcException
from dvc.utils.hydra import apply_overrides, get_hydra_sweeps
from hydra.errors import OverrideParseException
from source_code import FIELDS

from spam_gpt2.common.files import InputError
from spam_gpt2.common.params import check_params, read_yaml
from spam_gpt2.experiments.spec import overridden

# Made by a command or downloaded; stages' outputs are looked up in the pipeline files instead.
MADE = (
    ".venv", ".git", ".dvc/tmp/rwlock", ".csv", ".tsv", "models/finetune_checkpoint",
    ".netrc", ".*.*.verified", "mlflow.db", "mlruns", "pr-report", "pr-report/comment.md",
    "dvc_plots/index.html", "sbom.json", "models/checkpoint", "origin.json", "spam.csv",
    "messages.csv", "config.json", "weights.safetensors", "classifier.safetensors",
    "classifier.json", "models/decision/decision.json", "reports/timings.tsv", ".venv/bin/activate",
    "data/external", "Dataset_5971.csv",
    "model.safetensors", "vocab.json", "merges.txt",
)  # fmt: skip
ENDINGS = r"\.(py|ya?ml|json|md|csv|tsv|txt|png|html|lock|toml|safetensors|db|bpe|j2)$"
WORD = re.compile(r"[A-Za-z][A-Za-z0-9]*(_|[a-z0-9][A-Z])[A-Za-z0-9_]*")  # snake or camel case
PARAMETER = re.compile(r"([a-z_0-9]+\.[a-z_]+)(?:: (.+))?")
BARE_PARAMETER = re.compile(r"([a-z_]+): (.+)")  # without its section, which the text names
ELSEWHERE = {"HTTPS_PROXY"}  # variables that libraries read by themselves


def span_faults(span: str) -> list[str]:
    """What is wrong with inline code that is no command."""
    if span.startswith("spam_gpt2."):
        return [] if resolves(span) else [f"no {span}"]
    if WORD.fullmatch(span):
        return word_faults(span)
    if (key := PARAMETER.fullmatch(span)) and not re.search(ENDINGS, key[1]):
        return param_faults(key[1], key[2])
    if key := BARE_PARAMETER.fullmatch(span):
        return bare_param_faults(key[1], key[2])
    if re.fullmatch(r"[A-Z]\w+\.\w+", span) and not re.search(ENDINGS, span):  # Class.method
        return [fault for word in span.split(".") for fault in word_faults(word)]
    if re.search(r"[\s<>{}\\:]", span) or span.startswith("/") or span == "text/csv":
        return []
    is_path = "/" in span or re.search(ENDINGS, span) or re.fullmatch(r"\.\w+", span)
    return [] if not is_path or is_file(span) else [f"no file {span}"]


def word_faults(word: str) -> list[str]:
    known = word in words_of_the_project() or word in ELSEWHERE
    return [] if known else [f"nothing is called {word}"]


@cache
def words_of_the_project() -> frozenset[str]:
    """Words in snake or camel case of all the project's text files but the pages themselves."""
    pages = [":!docs", ":!README.md", ":!tests/test_docs.py"]  # the last invents words
    command = ["git", "grep", "-hoIE", WORD.pattern, "--", *pages]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return frozenset(done.stdout.split())


# Parameters


def param_faults(key: str, value: str | None = None) -> list[str]:
    """Whether there is a parameter `section.name`, and takes a value, as params.yaml has it."""
    section, _, name = key.partition(".")
    if section not in FIELDS or (name and name not in FIELDS[section]):
        return [f"params.yaml has no {key}"]
    if value is None:
        return []
    try:
        overridden(params(), {key: yaml.safe_load(value)}, "params.yaml")
    except InputError as error:
        return [str(error)]
    return []


def bare_param_faults(name: str, value: str) -> list[str]:
    """The same for a name without its section: one of those that have it must take the value."""
    sections = [section for section, names in FIELDS.items() if name in names]
    if not sections:
        return [] if name in words_of_the_project() else [f"no parameter {name}"]
    found = [param_faults(f"{section}.{name}", value) for section in sections]
    return [] if [] in found else found[0]


def override_faults(overrides: list[str]) -> list[str]:
    """What DVC or the project refuses of a command's `--set-param`, all of them together."""
    unknown = [fault for o in overrides for fault in param_faults(o.partition("=")[0])]
    if unknown:
        return unknown
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "params.yaml"
        try:
            for one in get_hydra_sweeps({"params.yaml": overrides}):  # several where commas stand
                copy.write_text((ROOT / "params.yaml").read_text(encoding="utf-8"), "utf-8")
                apply_overrides(copy, one["params.yaml"])
                check_params(read_yaml(copy), Path("params.yaml"))
        except (DvcException, InputError, OverrideParseException) as error:
            return [f"-S {' '.join(overrides)}: {error.__cause__ or error}"]
    return []


@cache
def params() -> Any:
    return read_yaml(ROOT / "params.yaml")


# Modules


def resolves(dotted: str) -> bool:
    """Whether a dotted name is a module, or something in one."""
    module, _, name = dotted.rpartition(".")
    try:
        return importlib.util.find_spec(dotted) is not None
    except ModuleNotFoundError:
        return hasattr(importlib.import_module(module), name)


def imports(name: str) -> bool:
    """Whether a module, or a name of one, can be imported."""
    try:
        return resolves(name) if "." in name else importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


# Files


@cache
def stages() -> dict[str, dict]:
    """Every stage of both pipelines by name."""
    files = (ROOT / "dvc.yaml", ROOT / "reports/dvc.yaml")
    read = [yaml.safe_load(path.read_text(encoding="utf-8"))["stages"] for path in files]
    return read[0] | read[1]


@cache
def tracked() -> frozenset[str]:
    """Files of the project and their folders."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return with_folders(done.stdout.splitlines())


@cache
def written() -> frozenset[str]:
    """What stages write, and their folders.

    Of a stage that writes a folder the pipelines name files only where others read or draw them.
    """
    entries = [
        entry
        for stage in stages().values()
        for kind in ("deps", "outs", "metrics")
        for entry in stage.get(kind, [])
    ]
    plots = yaml.safe_load((ROOT / "plots/dvc.yaml").read_text(encoding="utf-8"))["plots"]
    drawn = re.findall(r"[a-z0-9_]+/[a-z0-9_]+\.(?:csv|png)", str(plots))
    listed = [entry if isinstance(entry, str) else next(iter(entry)) for entry in entries]
    return with_folders([*listed, *(f"plots/{name}" for name in drawn)])


def with_folders(names: list[str]) -> frozenset[str]:
    folders = {folder for name in names for folder in Path(name).parents}
    return frozenset({*names, *(folder.as_posix() for folder in folders)}) - {"."}


def is_file(name: str) -> bool:
    """Whether a name is a file or folder of the project, or something that a command makes."""
    name = name.rstrip("/")
    known = tracked() | written()
    if "*" in name:
        return any(fnmatch(path, name) for path in known)
    short = {name, f"src/spam_gpt2/{name}"}  # packages are named without what is before them
    by_name = "/" not in name and any(Path(path).name == name for path in known)
    return bool(short & known) or by_name or any(fnmatch(name, made) for made in MADE)

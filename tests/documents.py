"""What a page of documentation says that is not so: commands, files, parameters, links, imports."""

from __future__ import annotations

import ast
import contextlib
import importlib
import importlib.util
import io
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import click
import yaml
from conftest import ROOT
from dvc.cli import DvcParserError
from dvc.cli.parser import get_main_parser
from source_code import FIELDS

# Made by a command or downloaded; stages' outputs are looked up in the pipeline files instead.
MADE = (
    ".venv", ".git", ".csv", ".tsv", "models/finetune_checkpoint",
    ".netrc", ".*.*.verified", "mlflow.db", "mlruns", "pr-report/*", "pr-report",
    "dvc_plots/index.html", "sbom.json", "models/checkpoint", "origin.json", "spam.csv",
    "messages.csv", "config.json", "weights.safetensors", "classifier.safetensors",
    "classifier.json", "plan.json", "labels.json", "reports/timings.tsv",
)  # fmt: skip
OTHER_PROGRAMS = {"bash", "git", "pip", "source", "curl"}  # not ours to check
ENDINGS = r"\.(py|ya?ml|json|md|csv|tsv|txt|png|html|lock|toml|safetensors|db|bpe|j2)$"
ASSIGNMENT = re.compile(r"[A-Z][A-Z0-9_]*=")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
LINK = re.compile(r"\]\(([^()\s]+)\)")


def faults(text: str, page: Path) -> list[str]:
    """Everything on a page that is wrong, a line each; `page` is where its links start from."""
    blocks = FENCE.findall(text)
    prose = FENCE.sub("", text)
    spans = SPAN.findall(prose)
    lines = [line for kind, body in blocks if kind == "console" for line in shell_lines(body)]
    names = {"HEAD", "main", "workspace"} | set(re.findall(r"--name (\S+)", "\n".join(lines)))
    found = [fault for line in lines for fault in command_faults(line, names)]
    for span in spans:
        found += command_faults(span, names) if is_command(span) else span_faults(span)
    for kind, body in blocks:
        if kind == "python":
            found += python_faults(body)
        elif not kind:
            found += drawing_faults(body)
    return found + [fault for target in LINK.findall(prose) for fault in link_faults(target, page)]


# Commands


def shell_lines(block: str) -> list[str]:
    """The commands of a console block, each on one line."""
    joined = re.sub(r"\\\n\s*", " ", block)
    return [line[2:] for line in joined.splitlines() if line.startswith("$ ")]


def is_command(span: str) -> bool:
    """Whether inline code is a command, or one whose program is misspelt."""
    words = [word for word in span.split() if not ASSIGNMENT.match(word)]
    if len(words) < 2 or not re.fullmatch(r"[a-z]+", words[0]):
        return False
    known = set(CHECKS) | OTHER_PROGRAMS
    return words[0] in known or words[1] in make_targets() | {"repro", "exp", "-m"}


def command_faults(line: str, names: set[str]) -> list[str]:
    """What is wrong with a shell line, of which each command is looked at by itself."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="&|<>;")
    lexer.whitespace_split = True
    try:
        words = list(lexer)
    except ValueError as error:
        return [f"{line}: {error}"]
    found, command, skip = [], list[str](), False
    for word in [*words, ";"]:
        if skip:  # the file of a redirection
            skip = False
        elif word in ("<", ">", ">>"):
            skip = True
        elif set(word) <= set("&|;"):
            found += [f"{line}: {fault}" for fault in one_command_faults(command, names)]
            command = []
        else:
            command.append(word)
    return found


def one_command_faults(command: list[str], names: set[str]) -> list[str]:
    while command and ASSIGNMENT.match(command[0]):
        command = command[1:]
    if not command or command[0] in OTHER_PROGRAMS:
        return []
    if command[0] not in CHECKS:
        return [f"no program {command[0]}"]
    return CHECKS[command[0]](command[1:], names)


@cache
def make_targets() -> frozenset[str]:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    return frozenset(re.findall(r"^([a-z-]+):", text, re.MULTILINE))


def make_faults(words: list[str], _: set[str]) -> list[str]:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    found = []
    for word in words:
        name, is_variable, value = word.partition("=")
        if not is_variable and word not in make_targets():
            found.append(f"no target {word}")
        if is_variable and f"$({name})" not in makefile:
            found.append(f"the Makefile has no {name}")
        if name == "NAME" and value not in experiment_names():
            found.append(f"no experiment {value}")
    return found


@cache
def experiment_names() -> frozenset[str]:
    groups = yaml.safe_load((ROOT / "experiments.yaml").read_text(encoding="utf-8"))
    return frozenset(groups) | {name for g in groups.values() for name in g["experiments"]}


@cache
def stages() -> dict[str, dict]:
    """Every stage of both pipelines by name."""
    files = (ROOT / "dvc.yaml", ROOT / "reports/dvc.yaml")
    read = [yaml.safe_load(path.read_text(encoding="utf-8"))["stages"] for path in files]
    return read[0] | read[1]


def dvc_faults(words: list[str], names: set[str]) -> list[str]:
    """DVC's own parser says which subcommands and options there are."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
            args = vars(get_main_parser().parse_args(words))
    except (DvcParserError, SystemExit):
        return [f"dvc does not take: {' '.join(words)}"]
    found = []
    if words[0] == "repro" or words[:2] == ["exp", "run"]:
        targets = [target for target in args["targets"] or [] if not is_file(target)]
        found += [f"no stage {target}" for target in targets if target not in stages()]
    for override in args.get("set_param") or []:
        found += param_faults(override.partition("=")[0])
    revisions = [args.get("a_rev"), args.get("b_rev"), *(args.get("revisions") or [])]
    if words[:2] == ["exp", "apply"]:
        revisions.append(args["experiment"])
    return found + [f"{r}: no such revision here" for r in revisions if r and r not in names]


def python_command_faults(words: list[str], _: set[str]) -> list[str]:
    if words[0] != "-m":
        return [] if is_file(words[0]) else [f"no script {words[0]}"]
    try:
        spec = importlib.util.find_spec(words[1])
    except ModuleNotFoundError:
        spec = None
    if spec is None:
        return [f"no module {words[1]}"]
    if not words[1].startswith("spam_gpt2"):
        return []
    options = {word.partition("=")[0] for word in words[2:] if re.match(r"--?[a-z]", word)}
    missing = sorted(o for o in options if not re.search(rf"(^|[\s,\[]){o}\b", help_of(words[1])))
    found = [f"{words[1]} has no option {option}" for option in missing]
    if words[1] == "spam_gpt2.experiments":
        named = {word for word in words[2:] if word[0] != "-"}
        found += [f"no experiment {name}" for name in sorted(named - experiment_names())]
    return found


@cache
def help_of(module: str) -> str:
    """What `python -m module --help` prints."""
    command = [sys.executable, "-m", module, "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout


def mlflow_faults(words: list[str], _: set[str]) -> list[str]:
    """MLflow's own commands say which options there are."""
    from mlflow.cli import cli

    command: click.Command = cli
    while isinstance(command, click.Group):
        if not words or words[0] not in command.commands:
            return [f"mlflow has no {' '.join(words[:1])}"]
        command, words = command.commands[words[0]], words[1:]
    try:
        command.make_parser(click.Context(command)).parse_args(list(words))
    except click.UsageError as error:
        return [error.format_message()]
    return []


CHECKS: dict[str, Callable[[list[str], set[str]], list[str]]] = {
    "make": make_faults,
    "dvc": dvc_faults,
    "python": python_command_faults,
    "mlflow": mlflow_faults,
}


# Parameters, files and modules named in the text


def span_faults(span: str) -> list[str]:
    """What is wrong with inline code that is no command."""
    if span.startswith("spam_gpt2."):
        return [] if resolves(span) else [f"no {span}"]
    key = re.fullmatch(r"([a-z_0-9]+\.[a-z_]+)(: .+)?", span)
    if key and not re.search(ENDINGS, key[1]):
        return param_faults(key[1])
    if re.search(r"[\s<>{}\\:]", span) or span.startswith("/") or span == "text/csv":
        return []
    is_path = "/" in span or re.search(ENDINGS, span) or re.fullmatch(r"\.\w+", span)
    return [] if not is_path or is_file(span) else [f"no file {span}"]


def param_faults(key: str) -> list[str]:
    section, _, name = key.partition(".")
    known = section in FIELDS and (not name or name in FIELDS[section])
    return [] if known else [f"params.yaml has no {key}"]


def resolves(dotted: str) -> bool:
    """Whether a dotted name is a module, or something in one."""
    module, _, name = dotted.rpartition(".")
    try:
        return importlib.util.find_spec(dotted) is not None
    except ModuleNotFoundError:
        return hasattr(importlib.import_module(module), name)


@cache
def tracked() -> frozenset[str]:
    """Files of the project and their folders, and what stages write."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    files = [Path(line) for line in done.stdout.splitlines()]
    folders = {folder for file in files for folder in file.parents}
    return frozenset(path.as_posix() for path in {*files, *folders} - {Path()})


@cache
def outputs() -> frozenset[str]:
    """What stages write, and their folders."""
    listed = [
        out if isinstance(out, str) else next(iter(out))
        for stage in stages().values()
        for out in [*stage.get("outs", []), *stage.get("metrics", [])]
    ]
    return frozenset(listed) | {f.as_posix() for out in listed for f in Path(out).parents}


def is_file(name: str) -> bool:
    """Whether a name is a file or folder of the project, or something that a command makes."""
    name = name.rstrip("/")
    known = tracked() | outputs()
    if "*" in name:
        return any(fnmatch(path, name) for path in known)
    short = {name, f"src/spam_gpt2/{name}"}  # packages are named without what is before them
    by_name = "/" not in name and any(Path(path).name == name for path in known)
    inside = any(name.startswith(f"{out}/") for out in stage_folders())
    return bool(short & known) or by_name or inside or any(fnmatch(name, m) for m in MADE)


def stage_folders() -> Iterator[str]:
    """Outputs that are folders, whose files the pipeline does not name."""
    return (out for out in outputs() if not Path(out).suffix and out not in tracked() | {"."})


# Blocks


def python_faults(block: str) -> list[str]:
    """Imports of a Python block that do not work."""
    try:
        tree = ast.parse(block)
    except SyntaxError as error:
        return [f"Python block: {error}"]
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return [f"no {name} to import" for name in names if not imports(name)]


def imports(name: str) -> bool:
    try:
        return resolves(name) if "." in name else importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def drawing_faults(block: str) -> list[str]:
    """Stages of a drawn graph, and files of a drawn tree, that do not exist."""
    if "─" in block:
        words = re.findall(r"(?<![\w./])[a-z]\w+(?![\w./])", block)
        return [f"no stage {word}" for word in words if word not in stages()]
    found, folders = [], [""]
    for line in block.splitlines() if "src/spam_gpt2/" in block else []:
        depth = (len(line) - len(line.lstrip())) // 2
        for name in re.match(r"\s*((?:\S+ )*\S+?)(?:\s{2,}|$)", line)[1].split():
            path = folders[depth] + name
            if not (ROOT / path).exists():
                found.append(f"no {path} in the tree")
            folders[depth + 1 :] = [path.rstrip("/") + "/"]
    return found


# Links


def link_faults(target: str, page: Path) -> list[str]:
    """A relative link must lead to a file, and its anchor to a heading there."""
    if re.match(r"[a-z]+:", target):
        return []
    name, _, anchor = target.partition("#")
    file = page.parent / name if name else page
    if not file.resolve().exists():
        return [f"link to {target}: no such file"]
    if anchor and anchor not in anchors(file.read_text(encoding="utf-8")):
        return [f"link to {target}: no such heading"]
    return []


def anchors(text: str) -> set[str]:
    """Headings as GitHub makes anchors of them."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}

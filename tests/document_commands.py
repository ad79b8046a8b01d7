"""What is wrong with a command that a page of documentation shows, without running it."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

import click
import yaml
from conftest import ROOT
from document_names import ENDINGS, is_file, override_faults, stages
from dvc.cli import DvcParserError
from dvc.cli.parser import get_main_parser

ASSIGNMENT = re.compile(r"[A-Z][A-Z0-9_]*=")
NOT_OURS = {"pip", "curl", "docker", "ssh", "sky"}  # what they are given is on other machines
COUNTS = {"SEEDS", "JOBS", "PORT"}
PLACEHOLDER = re.compile(r"[A-Z]+")


def shell_lines(block: str) -> list[str]:
    """The commands of a console block, each on one line."""
    joined = re.sub(r"\\\n\s*", " ", block)
    return [line[2:] for line in joined.splitlines() if line.startswith("$ ")]


def is_command(text: str) -> bool:
    """Whether inline code is a command, or one whose program is misspelt."""
    words = [word for word in text.split() if not ASSIGNMENT.match(word)]
    if len(words) < 2 or not re.fullmatch(r"[a-z]+", words[0]):
        return False
    return words[0] in CHECKS or words[1] in makefile() or words[1] in ("repro", "exp", "-m")


def command_faults(line: str, names: set[str]) -> list[str]:
    """What is wrong with a shell line, of which each command is looked at by itself.

    Args:
        names: revisions and experiments that there are where the command runs.
    """
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
    if not command:
        return []
    if command[0] not in CHECKS:
        return [f"no program {command[0]}"]
    return CHECKS[command[0]](command[1:], names)


# make


@cache
def makefile() -> dict[str, str]:
    """The recipe of each target, and what it asks for first."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z-]+):(?!=)(.*\n(?:\t.*\n)*)", text, re.MULTILINE))


def make_faults(words: list[str], _: set[str]) -> list[str]:
    variables = dict(word.split("=", 1) for word in words if "=" in word)
    targets = [word for word in words if "=" not in word]
    found = [f"no target {target}" for target in targets if target not in makefile()]
    recipes = " ".join(makefile().get(target, "") for target in targets)
    for name, value in variables.items():
        # The environment, which every target asks for, is made by these two.
        if not found and name not in ("PYTHON", "TORCH") and f"$({name})" not in recipes:
            found.append(f"make {' '.join(targets)} has no {name}")
        if name == "NAME" and value not in experiment_names():
            found.append(f"no experiment {value}")
        if name in COUNTS and not value.isdigit():
            found.append(f"{name}={value} is no number")
    return found


@cache
def experiment_names() -> frozenset[str]:
    """Of experiments and of their groups."""
    groups = yaml.safe_load((ROOT / "experiments.yaml").read_text(encoding="utf-8"))
    return frozenset(groups) | {name for g in groups.values() for name in g["experiments"]}


# DVC, MLflow


def dvc_faults(words: list[str], names: set[str]) -> list[str]:
    """DVC's own parser says which subcommands and options there are."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
            args = vars(get_main_parser().parse_args(words))
    except (DvcParserError, SystemExit):
        return [f"dvc does not take: {' '.join(words)}"]
    named = [*(args.get("targets") or []), *(args.get("copy_paths") or [])]
    found = [f"no stage {name}" for name in named if not (is_stage(name) or is_file(name))]
    if overrides := args.get("set_param"):
        found += override_faults(overrides)
    revisions = [args.get("a_rev"), args.get("b_rev"), *(args.get("revisions") or [])]
    if words[:2] == ["exp", "apply"]:
        revisions.append(args["experiment"])
    return found + [f"{r}: no such revision here" for r in revisions if r and r not in names]


def is_stage(name: str) -> bool:
    """A stage by itself, or behind the pipeline file that it is in."""
    pipeline, _, stage = name.rpartition(":")
    return stage in stages() and (not pipeline or (ROOT / pipeline).is_file())


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


# Python


def python_command_faults(words: list[str], _: set[str]) -> list[str]:
    if words[0] != "-m":
        return script_faults(words[0], words[1:])
    try:
        spec = importlib.util.find_spec(words[1])
    except ModuleNotFoundError:
        spec = None
    if spec is None:
        return [f"no module {words[1]}"]
    return module_faults(words[1], words[2:]) if words[1].startswith("spam_gpt2") else []


def module_faults(name: str, words: list[str]) -> list[str]:
    """What a module's own parser refuses, where it has one that can be had without running it."""
    if name == "spam_gpt2" and words[:1] == ["app"]:
        name, words = "spam_gpt2.app", words[1:]
    packages = ("spam_gpt2", "spam_gpt2.app", "spam_gpt2.scoring", "spam_gpt2.experiments")
    main = f"{name}.__main__" if name in packages else name
    module: Any = importlib.import_module(main)
    if not hasattr(module, "parser"):
        return missing_options(["-m", name], words)
    parser, said = module.parser(), io.StringIO()
    parser.allow_abbrev = False  # or else `--colum` would be taken
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            args = parser.parse_args(words)
    except SystemExit as left:  # 0 after --help
        return [said.getvalue().splitlines()[-1]] if left.code else []
    named = args.names if name == "spam_gpt2.experiments" else []
    return [f"no experiment {name}" for name in named if name not in experiment_names()]


def script_faults(script: str, words: list[str]) -> list[str]:
    if not (ROOT / script).is_file():
        return [f"no script {script}"]
    return missing_options([script], words)


def spark_submit_faults(words: list[str], _: set[str]) -> list[str]:
    """The script, and what stands behind it: what stands before is Spark's."""
    places = [place for place, word in enumerate(words) if word.endswith(".py")]
    if not places:
        return ["spark-submit without a script"]
    return script_faults(words[places[0]], words[places[0] + 1 :])


def missing_options(program: list[str], words: list[str]) -> list[str]:
    """Options that `--help` does not speak of."""
    options = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
    known = help_options(*program) if options else frozenset()
    return [f"{program[-1]} has no option {option}" for option in sorted(options - known)]


@cache
def help_options(*program: str) -> frozenset[str]:
    """The options that `python program --help` prints."""
    command = [sys.executable, *program, "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return frozenset(re.findall(r"(?<![\w-])--?[a-z][\w-]*", done.stdout))


# The shell's own, git


def file_faults(words: list[str], _: set[str]) -> list[str]:
    """Of `bash` and `source`, which run a file."""
    return [] if is_file(words[0]) else [f"no file {words[0]}"]


def git_faults(words: list[str], _: set[str]) -> list[str]:
    """Subcommands by git's own list, and paths."""
    if words[0] not in git_subcommands():
        return [f"git has no {words[0]}"]
    paths = [w for w in words[1:] if "/" in w or re.search(ENDINGS, w)]
    return [f"no file {path}" for path in paths if ":" not in path and not is_file(path)]


@cache
def git_subcommands() -> frozenset[str]:
    command = ["git", "--list-cmds=main"]
    return frozenset(subprocess.run(command, capture_output=True, text=True).stdout.split())


CHECKS: dict[str, Callable[[list[str], set[str]], list[str]]] = {
    "make": make_faults,
    "dvc": dvc_faults,
    "python": python_command_faults,
    "mlflow": mlflow_faults,
    "bash": file_faults,
    "source": file_faults,
    "spark-submit": spark_submit_faults,
    "git": git_faults,
    **dict.fromkeys(NOT_OURS, lambda words, names: []),
}


@cache
def known_options() -> frozenset[str]:
    """Options that the text may name by themselves: those of the command lines it is about."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
        get_main_parser().parse_args(["exp", "run", "--help"])
    ours = frozenset(re.findall(r"(?<![\w-])--?[A-Za-z][\w-]*", said.getvalue()))
    for module in (
        "spam_gpt2",
        "spam_gpt2.app",
        "spam_gpt2.scoring",
        "spam_gpt2.experiments",
        "spam_gpt2.tracking.registry",
    ):
        ours |= help_options("-m", module)
    return ours | help_options("-m", "spam_gpt2.tracking.registry", "serve")


def option_faults(span: str) -> list[str]:
    return [] if span in known_options() else [f"no option {span}"]

"""What a page of documentation says that is not so: commands, files, parameters, links, imports."""

from __future__ import annotations

import ast
import importlib
import json
import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import yaml
from conftest import ROOT
from document_commands import command_faults, is_command, option_faults, shell_lines
from document_names import imports, param_faults, params, span_faults, stages
from markdown_it import MarkdownIt
from markdown_it.token import Token

from spam_gpt2.common.files import InputError
from spam_gpt2.common.params import check_params

PARSER = MarkdownIt("commonmark").enable("table")
HTML_LINK = re.compile(r"""(?:src|href)=["']?([^"'\s>]+)""")
UNDEFINED = re.compile(r"\[[^\]]+\]\[[^\]]*\]")  # a link by a name that the page never explains


def faults(text: str, page: Path) -> list[str]:
    """Everything on a page that is wrong, a line each; `page` is where its links start from."""
    tokens = list(flat(PARSER.parse(text)))
    blocks = [(t.info, t.content) for t in tokens if t.type in ("fence", "code_block")]
    spans = [t.content for t in tokens if t.type == "code_inline"]
    names = {"HEAD", "main", "workspace"} | set(re.findall(r"--name (\S+)", text))
    found = [fault for kind, body in blocks for fault in block_faults(kind, body, names)]
    for span in spans:
        if re.fullmatch(r"--?[A-Za-z][\w-]*", span):
            found += option_faults(span)
        else:
            found += command_faults(span, names) if is_command(span) else span_faults(span)
    return found + [fault for token in tokens for fault in reference_faults(token, page)]


def flat(tokens: list[Token]) -> Iterator[Token]:
    """Tokens and those within them."""
    for token in tokens:
        yield token
        yield from flat(token.children or [])


# Blocks


def block_faults(kind: str, body: str, names: set[str]) -> list[str]:
    """What is wrong in a block of code, which must be of a kind that can be looked at."""
    if kind == "console":
        lines = shell_lines(body)
        found = [] if lines else ["a console block without a line that begins with $"]
        return found + [fault for line in lines for fault in command_faults(line, names)]
    if kind not in BLOCKS:
        return [f"a block of {kind}, which nothing checks"]
    return BLOCKS[kind](body)


def python_faults(block: str) -> list[str]:
    """Imports of a Python block that do not work, and attributes that what it imports lacks."""
    try:
        tree = ast.parse(block)
    except SyntaxError as error:
        return [f"Python block: {error}"]
    names = {}  # what the block calls it: where it is
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.asname or alias.name: alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
    found = [f"no {name} to import" for name in names.values() if not imports(name)]
    for node in ast.walk(tree) if not found else ():
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            owner = names.get(node.value.id)
            if owner and not hasattr(thing(owner), node.attr):
                found.append(f"{owner} has no {node.attr}")
    return found


def thing(dotted: str) -> object:
    """A module, or what it holds."""
    module, _, name = dotted.rpartition(".")
    holder = importlib.import_module(module or name)
    return getattr(holder, name, holder) if module else holder


def yaml_faults(block: str) -> list[str]:
    """YAML is a part of params.yaml."""
    try:
        read = yaml.safe_load(block)
    except yaml.YAMLError as error:
        return [f"YAML block: {error}"]
    if not isinstance(read, dict) or not all(
        isinstance(part, dict | list) for part in read.values()
    ):
        return ["YAML block: not sections and their parameters"]
    lists = {section: part for section, part in read.items() if isinstance(part, list)}
    if lists:  # sections that are one, such as `external`
        try:
            check_params(params() | lists)
        except InputError as error:
            return [str(error)]
        read = {section: part for section, part in read.items() if section not in lists}
    values = {f"{section}.{name}": v for section, part in read.items() for name, v in part.items()}
    return [fault for key, v in values.items() for fault in param_faults(key, json.dumps(v))]


def plain_faults(block: str) -> list[str]:
    """Of a block without a kind: a drawn graph or tree, or what a command prints."""
    for line in block.splitlines():
        if is_command(line.removeprefix("$ ")) or line.startswith("$ "):
            return [f"a command in a block that is not marked console: {line}"]
    if "─" in block:
        words = re.findall(r"(?<![\w./])[a-z]\w+(?![\w./])", block)
        return [f"no stage {word}" for word in words if word not in stages()]
    return tree_faults(block) if "src/spam_gpt2/" in block else []


def tree_faults(block: str) -> list[str]:
    """Files of a drawn tree that do not exist."""
    found, folders = [], [""]
    for line in block.splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        for name in re.match(r"\s*((?:\S+ )*\S+?)(?:\s{2,}|$)", line)[1].split():
            path = folders[depth] + name
            if not (ROOT / path).exists():
                found.append(f"no {path} in the tree")
            folders[depth + 1 :] = [path.rstrip("/") + "/"]
    return found


BLOCKS: dict[str, Callable[[str], list[str]]] = {
    "": plain_faults,
    "python": python_faults,
    "yaml": yaml_faults,
}


# Links


def reference_faults(token: Token, page: Path) -> list[str]:
    """Where a token leads that is not there: links, pictures, also in HTML."""
    if token.type in ("html_inline", "html_block"):
        targets = HTML_LINK.findall(token.content)
    else:
        targets = [t for t in (token.attrs.get("href"), token.attrs.get("src")) if t]
    found = [fault for target in targets for fault in link_faults(target, page)]
    if token.type == "text":
        found += [f"{link}: no such reference" for link in UNDEFINED.findall(token.content)]
    return found


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
    tokens = PARSER.parse(text)
    titles = [title.content for head, title in pairwise(tokens) if head.type == "heading_open"]
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}

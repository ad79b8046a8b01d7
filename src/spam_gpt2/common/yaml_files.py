"""YAML files: read strictly, and what is wrong with one said in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from spam_gpt2.common.files import InputError
from spam_gpt2.common.merges import RESOLVE, has_markers


def describe_yaml_error(error: Exception) -> str:
    """What is wrong and in which line; not the line, of which PyYAML shows half a password."""
    if not isinstance(error, yaml.MarkedYAMLError):
        return str(error)
    mark = error.problem_mark or error.context_mark
    words = ", ".join(filter(None, (error.context, error.problem)))
    return f"{words}, line {mark.line + 1}, column {mark.column + 1}" if mark else words


def read_yaml(path: Path) -> Any:
    """What a YAML file of the project holds.

    Raises: InputError when it is missing or none, when a merge in it is unresolved, or when a key
    stands in it twice.
    """
    try:
        text = path.read_text(encoding="utf-8")
        if has_markers(text):
            raise InputError(f"{path}: an unresolved merge; {RESOLVE.format(path=path)}")
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _check_keys_differ(node, path)
        return loader.construct_document(node)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; run this in the project's folder") from None
    except RecursionError:
        raise InputError(f"{path}: not valid YAML: nested too deeply") from None
    except (yaml.YAMLError, ValueError) as error:
        raise InputError(f"{path}: not valid YAML: {describe_yaml_error(error)}") from error


def _check_keys_differ(root: yaml.Node, path: Path) -> None:
    """YAML itself forbids it, and PyYAML takes the last one in silence."""
    waiting, seen = [("", root)], set()
    while waiting:
        prefix, node = waiting.pop()
        if id(node) in seen:  # an alias
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            waiting += [(prefix, child) for child in node.value]
        if not isinstance(node, yaml.MappingNode):
            continue
        lines: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            name = key.value if isinstance(key, yaml.ScalarNode) else f"line {line}"
            if name in lines:
                raise InputError(
                    f"{path}: {prefix}{name}: stands there twice, in lines {lines[name]} and "
                    f"{line}; delete one"
                )
            lines[name] = line
            waiting.append((f"{prefix}{name}.", value))

"""What is wrong with a YAML file, in words."""

from __future__ import annotations

import yaml


def describe_yaml_error(error: Exception) -> str:
    """What is wrong and in which line; not the line, of which PyYAML shows half a password."""
    if not isinstance(error, yaml.MarkedYAMLError):
        return str(error)
    mark = error.problem_mark or error.context_mark
    words = ", ".join(filter(None, (error.context, error.problem)))
    return f"{words}, line {mark.line + 1}, column {mark.column + 1}" if mark else words

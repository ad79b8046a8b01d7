"""What runs are told apart by: the experiment's name, then what differs from what is committed."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import yaml

from spam_gpt2.common.commands import git
from spam_gpt2.common.files import InputError
from spam_gpt2.common.nested import flat
from spam_gpt2.common.params import PARAMS_PATH, check_params
from spam_gpt2.common.secrets import without_secrets

# Sections whose parameters change what a run shows, and parameters of them that do not.
SECTIONS = ("compute", "prepare", "fetch_gpt2", "classifier", "finetune", "evaluate", "baseline")
WITHOUT_EFFECT = ("fetch_gpt2.sources", "finetune.reuse_frozen", "finetune.log_every")
# What people change most; their names need no section, and the value of `trainable` no name.
USUAL = ("finetune", "classifier")
SPEAKS_FOR_ITSELF = "finetune.trainable"
WITHOUT_GIT = ("finetune.trainable", "finetune.learning_rate", "finetune.epochs", "finetune.seed")
MOST = 5  # differences in a name
LONGEST = 24  # characters of a value


def run_name(root: Path, params: dict[str, Any]) -> str:
    """A name for the legend of a chart: `short: epochs 3`, `lora`, `seed 124`.

    First stands the name of DVC's experiment, if it is one. What follows differs from the
    parameters in the commit that the run started from; what the experiment's name says already is
    left out. Where nothing differs, the commit is the name. Without git, or when the commit has no
    params.yaml, there is nothing to differ from: the name has `WITHOUT_GIT` in place of it.

    Args:
        params: all of params.yaml, as nested dictionaries.
    """
    experiment = os.environ.get("DVC_EXP_NAME", "")
    commit, committed = _committed(root)
    if committed is None:
        values = dict(flat(params))
        parts = [_words(key, values[key]) for key in WITHOUT_GIT]
    else:
        parts = differences(params, committed)
    parts = [part for part in parts if _bare(part) not in _bare(experiment)]
    if len(parts) > MOST:
        parts = [*parts[:MOST], f"{len(parts) - MOST} more"]
    name = ": ".join(filter(None, (experiment, ", ".join(parts))))
    return without_secrets(name) or f"commit {commit[:7]}"


def differences(params: dict[str, Any], committed: dict[str, Any]) -> list[str]:
    """What differs, in few words each, the usual sections first; a key that is new does not."""
    before = dict(flat(_checked(committed)))
    after = {key: value for key, value in flat(params) if key not in WITHOUT_EFFECT}
    order = (*USUAL, *(section for section in SECTIONS if section not in USUAL))
    return [
        _words(key, value)
        for section in order
        for key, value in after.items()
        if key.startswith(f"{section}.") and _differs(key, value, before)
    ]


def _differs(key: str, value: Any, before: dict[str, Any]) -> bool:
    """A dictionary stands in place of null, as for `prepare.columns`, or was not there at all."""
    parent = key.rpartition(".")[0]
    return before[key] != value if key in before else parent in before


def _checked(values: dict[str, Any]) -> dict[str, Any]:
    """As this version reads them, if it takes them: `text: v2` is `text: [v2]`."""
    try:
        return check_params(values).model_dump()
    except InputError:  # of another version
        return values


def _words(key: str, value: Any) -> str:
    section, _, name = key.partition(".")
    if isinstance(value, float):
        mantissa, exponent = f"{value:e}".split("e")
        scientific = f"{float(mantissa):g}e{int(exponent)}"
        text = f"{value:g}" if 1e-3 <= abs(value) < 1e6 or not value else scientific
    else:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = text if len(text) <= LONGEST else f"…{text[1 - LONGEST :]}"
    if key == SPEAKS_FOR_ITSELF:
        return text
    return f"{name if section in USUAL else key} {text}"


def _bare(text: str) -> str:
    return re.sub(r"[\W_]", "", text).lower()


def _committed(root: Path) -> tuple[str, dict[str, Any] | None]:
    """The commit that a run started from, and its params.yaml; empty and None without one."""
    try:
        started_from = os.environ.get("DVC_EXP_BASELINE_REV") or "HEAD"
        commit = git(root, "rev-parse", started_from).decode().strip()
        values = yaml.safe_load(git(root, "show", f"{commit}:./{PARAMS_PATH}"))
    except (InputError, yaml.YAMLError, UnicodeDecodeError):
        return "", None
    return commit, values if isinstance(values, dict) else None

"""`experiments.yaml`: named sets of overrides, checked like params.yaml before anything runs."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from spam_gpt2.common.files import InputError
from spam_gpt2.common.params import PARAMS_PATH, Params, check_params
from spam_gpt2.common.validation import describe_error
from spam_gpt2.common.yaml_files import read_yaml

SPEC_PATH = Path("experiments.yaml")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")  # what git takes for the end of a reference

Share = Annotated[float, Field(ge=0, le=100)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Published(_Strict):
    """A row of the published table: accuracies in per cent, minutes of training."""

    row: int
    train: Share
    validation: Share
    test: Share
    minutes: float


class FieldRow(_Strict):
    """A classifier in the measures of the field: per cent, and Matthews' correlation."""

    spam_caught: Share
    blocked_ham: Share
    accuracy: Share
    mcc: Annotated[float, Field(ge=-1, le=1)]


class FieldTable(_Strict):
    """A published table of other classifiers by the experiment's protocol."""

    source: str
    rows: dict[str, FieldRow]


class _Entry(_Strict):
    about: str
    set: dict[str, Any] = {}
    published: Published | None = None
    beside: FieldTable | None = None


class _Group(_Strict):
    about: str
    common: dict[str, Any]
    experiments: dict[str, _Entry]


@dataclass(frozen=True)
class Experiment:
    """A named set of overrides: dotted keys of params.yaml and their values."""

    name: str
    group: str
    about: str
    overrides: dict[str, Any]
    published: Published | None = None
    beside: FieldTable | None = None
    target: str = "track"  # the stage that all others of an experiment lead to

    def cross_validated(self) -> Experiment:
        """The same up to its cross-validation, under a name of its own."""
        name, about = f"{self.name}-cv", f"{self.about}; cross-validated"
        return replace(self, name=name, about=about, target="reports/dvc.yaml:cross_validate")

    def with_seed(self, seed: int) -> Experiment:
        """The same with other draws, under a name of its own."""
        overrides = self.overrides | {"finetune.seed": seed}
        if self.overrides.get("classifier.init") == "random":
            overrides["classifier.init_seed"] = seed
        name = f"{self.name}-seed{seed}"
        about = f"{self.about}; seed {seed}"
        return replace(self, name=name, about=about, overrides=overrides)


def load_experiments(
    path: Path = SPEC_PATH, params_path: Path = PARAMS_PATH
) -> dict[str, Experiment]:
    """All experiments by name, in the file's order.

    Raises: InputError, one line, for a file that is not as it should be, a name that stands twice,
    an override that params.yaml would not take, or params.yaml itself.
    """
    values = read_yaml(path)
    if not isinstance(values, dict) or not values:
        raise InputError(f"{path}: expected groups of experiments")
    base = read_yaml(params_path)
    check_params(base, params_path)  # or else an experiment would be blamed
    found: dict[str, Experiment] = {}
    for group_name, group_values in values.items():
        try:
            group = _Group.model_validate(group_values)
        except ValidationError as error:
            raise InputError(f"{path}: {group_name}.{describe_error(error)}") from None
        for name, entry in group.experiments.items():
            if problem := _problem_of(name, found):
                raise InputError(f"{path}: {group_name}: {name!r} {problem}")
            overrides = group.common | entry.set
            overridden(base, overrides, f"{path}: {name}")
            found[name] = Experiment(
                name, group_name, entry.about, overrides, entry.published, entry.beside
            )
    return found


def _problem_of(name: str, others: Iterable[str]) -> str | None:
    """Why an experiment cannot have a name, or None."""
    if not NAME.fullmatch(name):
        return "is no name for an experiment"
    for other in others:  # git's references and our logs are files
        if name.casefold() == other.casefold():
            same = name == other
            return "stands twice" if same else f"is {other!r} where files' names have no case"
    return None


def choose(experiments: dict[str, Experiment], names: list[str]) -> list[Experiment]:
    """Those that are asked for by name or by group; all when no name is given.

    Raises: InputError that lists what there is, for a name that is none of it.
    """
    groups = {experiment.group for experiment in experiments.values()}
    for name in names:
        if name not in experiments and name not in groups:
            raise InputError(
                f"{SPEC_PATH}: no experiment {name!r}; there are {', '.join(experiments)}"
            )
    wanted = set(names or groups)
    return [e for e in experiments.values() if e.name in wanted or e.group in wanted]


def overridden(base: Any, overrides: dict[str, Any], where: str) -> Params:
    """Parameters with some of them replaced. Raises: InputError that begins with `where`."""
    values = copy.deepcopy(base)
    for key, value in overrides.items():
        section, dot, name = key.partition(".")
        if not dot or name not in values.get(section, {}):
            raise InputError(f"{where}: {key}: unknown key; see params.yaml for those that exist")
        values[section][name] = value
    try:
        return check_params(values)
    except InputError as error:
        raise InputError(f"{where}: {str(error).removeprefix(f'{PARAMS_PATH}: ')}") from None

"""Packages that only a part of the project needs, which `make extras` installs."""

from __future__ import annotations

import importlib.util

from spam_gpt2.common.files import InputError

INSTALL = "make extras"


def need(*packages: str) -> None:
    """Raises: InputError with the command for the first package that is not installed."""
    for package in packages:
        if importlib.util.find_spec(package) is None:
            raise InputError(f"{package} is not installed; run: {INSTALL}")

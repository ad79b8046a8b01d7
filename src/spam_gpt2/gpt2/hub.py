"""The Hugging Face hub as a source: `hf:owner/name`, at a pinned revision where we know one.

huggingface_hub says where a file is (`HF_ENDPOINT`), who asks (`HF_TOKEN` or `hf auth login`),
whether the network may be used (`HF_HUB_OFFLINE`), and what it has in its cache. The transfer is
ours: as patient, as bounded and as resumable as from any other source.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from spam_gpt2.common.console import say
from spam_gpt2.common.download import DownloadError, Patience, Pin, download

PREFIX = "hf:"
ADDRESS = re.compile(r"(?P<name>[\w-][\w.-]*/[\w-][\w.-]*)(?:@(?P<revision>[\w-][\w./-]*))?")
FAMILY = "openai-community/gpt2"  # one name for four repositories, one a size
SUFFIXES = {"124M": "", "355M": "-medium", "774M": "-large", "1558M": "-xl"}
REVISIONS = {
    FAMILY: "607a30d783dfa663caf39e06633721c8d4cfcd7e",
    f"{FAMILY}-medium": "6dcaa7a952f72f9298047fd5137cd6e4f05f41da",
    f"{FAMILY}-large": "32b71b12589c2f8d625668d2335a01cac3249519",
    f"{FAMILY}-xl": "15ea56dee5df4983c59b2538573817e1667135e2",
}


@dataclass(frozen=True)
class Repository:
    """A model on the hub, and the commit, branch or tag of it."""

    name: str
    revision: str


def is_on_hub(source: str) -> bool:
    """Whether a source names a repository of the hub."""
    return source.startswith(PREFIX)


def repository(source: str, size: str) -> Repository:
    """The repository that has a size: `hf:openai-community/gpt2` stands for all four.

    Raises: DownloadError for what is no `hf:owner/name` or `hf:owner/name@revision`.
    """
    found = ADDRESS.fullmatch(source.removeprefix(PREFIX).strip("/"))
    if found is None or ".." in source:
        raise DownloadError(f"{source}: not hf:owner/name or hf:owner/name@revision")
    name = found["name"]
    if name == FAMILY:
        name += SUFFIXES[size]
    return Repository(name, found["revision"] or REVISIONS.get(name, "main"))


def download_from_hub(
    where: Repository, file: str, path: Path, pin: Pin, *, patience: Patience | None = None
) -> None:
    """Bring a file of a repository to `path`: from the hub's cache here, or over the network.

    Raises: DownloadError, as `download` does.
    """
    from huggingface_hub import (
        constants,
        get_token,
        hf_hub_url,
        is_offline_mode,
        try_to_load_from_cache,
    )

    cached = try_to_load_from_cache(where.name, file, revision=where.revision)
    if isinstance(cached, str):
        try:
            return download(cached, path, pin)
        except DownloadError as error:  # what is damaged there can be fetched
            if is_offline_mode():
                raise
            say(f"skipped: {error}")
    if is_offline_mode():
        place = f"{PREFIX}{where.name}@{where.revision}"
        raise DownloadError(f"{place}: HF_HUB_OFFLINE is set, and {file} is not in the hub's cache")
    url = hf_hub_url(where.name, file, revision=where.revision)
    token = None if constants.HF_HUB_DISABLE_IMPLICIT_TOKEN else get_token()
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    download(url, path, pin, patience=patience, headers=headers)

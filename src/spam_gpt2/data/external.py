"""Labelled messages from elsewhere: fetched, read, in our classes, and less what stands in ours."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

import pandas as pd

from spam_gpt2.common.download import Pin, download
from spam_gpt2.common.files import InputError, sha256_of, whole_file
from spam_gpt2.common.params import External
from spam_gpt2.data.messages import read_messages
from spam_gpt2.data.sms_sources import read_member

EXTERNAL_DIR = Path("data/external")  # of what is fetched or unpacked
HERE = "external"


def read_external(entry: External, labels: Sequence[str]) -> pd.DataFrame:
    """All messages of a file that params.yaml names.

    Returns: columns line, label (one of ours), text and origin, the label in the file's own terms.

    Raises: InputError when the file cannot be had or read, is another one, or has a label that is
    no class and is mapped to none.
    """
    path = obtain(entry)
    messages = read_messages(
        path,
        entry.quoting,
        columns=entry.columns,
        encoding=entry.encoding,
        delimiter=entry.delimiter,
        section=f"{HERE}.{entry.name}",
    )
    return map_labels(messages, labels, entry.map, f"{HERE}.{entry.name}")


def obtain(entry: External) -> Path:
    """The file with the messages, fetched where it has an address, and what its digest says."""
    if entry.url is not None:
        suffix = ".zip" if entry.member else PurePosixPath(urlsplit(entry.url).path).suffix
        path = EXTERNAL_DIR / f"{entry.name}{suffix}"
        if not path.is_file() or sha256_of(path) != entry.sha256:
            download(entry.url, path, Pin(entry.sha256))
    else:
        path = Path(entry.path).expanduser()
        _check_digest(path, entry)
    if entry.member is None:
        return path
    unpacked_path = EXTERNAL_DIR / f"{entry.name}{PurePosixPath(entry.member).suffix or '.tsv'}"
    content = read_member(path, entry.member, f"{HERE}.{entry.name}: {path}")
    with whole_file(unpacked_path) as beside_path:
        beside_path.write_bytes(content)
    return unpacked_path


def _check_digest(path: Path, entry: External) -> None:
    """By the digest, params.yaml says which messages were read, and a change of them shows."""
    if not path.is_file():
        raise InputError(f"{path}: no such file; see {HERE}.{entry.name}.path in params.yaml")
    found = sha256_of(path)
    if entry.sha256 is None:
        raise InputError(
            f"{HERE}.{entry.name}: no sha256, by which a changed file is noticed; that of {path} "
            f"is now {found}"
        )
    if found != entry.sha256:
        raise InputError(
            f"{path}: not the file of {HERE}.{entry.name}.sha256: its SHA-256 is {found}"
        )


def map_labels(
    messages: pd.DataFrame, labels: Sequence[str], mapping: Mapping[str, str], where: str
) -> pd.DataFrame:
    """Messages with a label of ours each, and the column origin: which of the file's it had.

    A label is looked up in the mapping, then among ours; as it stands, then without regard to case
    where that leaves one. Labels that differ in case alone have one origin.

    Args:
        messages: columns line, label, text.
        where: names the entry in errors.
    """
    for target in mapping.values():
        if target not in labels:
            raise InputError(f"{where}.map: {target!r} is none of the classes {listed(labels)}")
    meant = {label: label for label in labels} | dict(mapping)
    plain: dict[str, set[str]] = {}
    for label in meant:
        plain.setdefault(label.casefold(), set()).add(label)
    origins = {}
    for label in sorted(set(messages["label"])):
        alike = plain.get(label.casefold(), set())
        if label not in meant and len(alike) != 1:
            line = messages.loc[messages["label"] == label, "line"].iloc[0]
            raise InputError(
                f"{where}: label {label!r} (line {line}) is none of {listed(list(meant))}; say "
                f"which class it is, as in map: {{{label}: {labels[-1]}}}"
            )
        origins[label] = label if label in meant else next(iter(alike))
    origin = messages["label"].map(origins)
    return messages.assign(label=origin.map(meant), origin=origin)


def listed(labels: Sequence[str]) -> str:
    """Labels in an error, not too many."""
    return ", ".join(labels[:10]) + (", …" if len(labels) > 10 else "")


def bare(text: str) -> str:
    """Letters and digits alone, without regard to case; a text without any is all but its blanks.

    Copies of a message in other collections lack blanks, and have other quotes and currency signs.
    Digits stay, unlike in `campaigns.masked`: another number is another message.
    """
    return re.sub(r"[\W_]+", "", text.casefold()) or "".join(text.split())


def unknown_messages(messages: pd.DataFrame, known: Iterable[str]) -> pd.DataFrame:
    """Those whose text is none of the known ones, case, blanks and punctuation left aside."""
    bare_known = set(map(bare, known))
    return messages[~messages["text"].map(bare).isin(bare_known)].reset_index(drop=True)

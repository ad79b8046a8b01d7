"""Which checkpoint was fetched: a small file that DVC keeps in place of 500 MB.

The weights are in DVC's cache once, converted; the fetched files would be the same weights again.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from spam_gpt2.common.files import InputError, sha256_of, write_json
from spam_gpt2.common.project import project_dir
from spam_gpt2.common.validation import STRICT, Digest, Name, read_checked
from spam_gpt2.gpt2.sources import ORIGIN_FILE
from spam_gpt2.gpt2.tf_checkpoint import OPENAI_FILES

CHECKPOINT_DIR = Path("models/checkpoint")
MANIFEST_PATH = Path("models/checkpoint.json")


@dataclass(frozen=True)
class Manifest:
    """What `checkpoint.json` holds."""

    __pydantic_config__ = STRICT

    name: Name
    sha256: dict[str, Digest]  # of each of the seven files
    source: str | None = None  # of weights that nobody verified


def write_manifest(checkpoint_dir: Path = CHECKPOINT_DIR, path: Path = MANIFEST_PATH) -> None:
    """Write where the seven files came from, and the SHA-256 of each."""
    digests = {file: sha256_of(checkpoint_dir / file) for file in OPENAI_FILES}
    origin = read_checked(checkpoint_dir / ORIGIN_FILE, dict[str, str], "not one of fetch_gpt2")
    write_json(path, {**origin, "sha256": digests})


def find_checkpoint(manifest_path: Path = MANIFEST_PATH) -> tuple[Path, str]:
    """The folder with the very files of the manifest, and the weights' name.

    An experiment in a temporary folder finds them in the project that it was made from.

    Raises: InputError, since a clone that pulled the results has no checkpoint, when neither does.
    """
    manifest = read_checked(manifest_path, Manifest, "not one of fetch_gpt2")
    if manifest.sha256.keys() != set(OPENAI_FILES):
        raise InputError(f"{manifest_path}: sha256: the seven files were expected; run `dvc repro`")
    roots = dict.fromkeys([Path(), project_dir()])
    for folder in (root / CHECKPOINT_DIR for root in roots):
        if _problem(folder, manifest.sha256) is None:
            return folder, manifest.name
    problem = _problem(CHECKPOINT_DIR, manifest.sha256)
    raise InputError(f"{problem}; fetch it again: `dvc repro --force fetch_gpt2`, then `dvc repro`")


def _problem(folder: Path, digests: dict[str, str]) -> str | None:
    for file, digest in digests.items():
        path = folder / file
        if not path.is_file():
            return f"{path}: no such file"
        if sha256_of(path) != digest:
            return f"{path}: not the file that {MANIFEST_PATH} names"
    return None

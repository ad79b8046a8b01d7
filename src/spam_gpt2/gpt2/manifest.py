"""Which checkpoint was fetched: a small file that DVC keeps in place of 500 MB.

The weights are in DVC's cache once, converted; the fetched files would be the same weights again.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from spam_gpt2.common.files import InputError, sha256_of, write_json
from spam_gpt2.common.project import project_dir
from spam_gpt2.common.validation import STRICT, Digest, Name, read_checked
from spam_gpt2.gpt2.layouts import Layout, layout_in, layout_of
from spam_gpt2.gpt2.sources import ORIGIN_FILE

CHECKPOINT_DIR = Path("models/checkpoint")
MANIFEST_PATH = Path("models/checkpoint.json")


@dataclass(frozen=True)
class Manifest:
    """What `checkpoint.json` holds."""

    __pydantic_config__ = STRICT

    name: Name
    sha256: dict[str, Digest]  # of each of the checkpoint's files
    source: str | None = None  # of weights that nobody verified


def write_manifest(checkpoint_dir: Path = CHECKPOINT_DIR, path: Path = MANIFEST_PATH) -> None:
    """Write where the files came from, and the SHA-256 of each."""
    files = layout_in(checkpoint_dir).files
    digests = {file: sha256_of(checkpoint_dir / file) for file in files}
    origin = read_checked(checkpoint_dir / ORIGIN_FILE, dict[str, str], "not one of fetch_gpt2")
    write_json(path, {**origin, "sha256": digests})


def find_checkpoint(manifest_path: Path = MANIFEST_PATH) -> tuple[Path, str, Layout]:
    """The folder with the very files of the manifest, the weights' name, and their layout.

    An experiment in a temporary folder finds them in the project that it was made from.

    Raises: InputError, since a clone that pulled the results has no checkpoint, when neither does.
    """
    manifest = read_checked(manifest_path, Manifest, "not one of fetch_gpt2")
    layout = layout_of(manifest.sha256)
    if layout is None:
        raise InputError(
            f"{manifest_path}: sha256: OpenAI's seven files or Hugging Face's four were expected; "
            "run `dvc repro`"
        )
    roots = dict.fromkeys([Path(), project_dir()])
    for folder in (root / CHECKPOINT_DIR for root in roots):
        if _problem(folder, manifest.sha256) is None:
            return folder, manifest.name, layout
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

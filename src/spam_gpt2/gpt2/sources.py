"""Where GPT-2's weights come from: OpenAI's files, a mirror, a folder, or the embedded stand-in."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from spam_gpt2.common.console import say, warn
from spam_gpt2.common.download import (
    DownloadError,
    Patience,
    Pin,
    download,
    local_path,
    scratch_folder,
    source_errors,
)
from spam_gpt2.common.files import InputError, read_json, sha256_of, write_json
from spam_gpt2.common.secrets import without_secrets
from spam_gpt2.gpt2.config import GPT2Config
from spam_gpt2.gpt2.tf_checkpoint import DATA_FILE, OPENAI_FILES, read_hparams

MIRROR_VARIABLE = "GPT2_MIRROR"
ORIGIN_FILE = "origin.json"  # which weights these are, beside the seven files

# Radford et al. 2019, table 2, as in the hparams.json of each size.
SIZES = {
    "124M": GPT2Config(n_vocab=50257, n_ctx=1024, n_embd=768, n_head=12, n_layer=12),
    "355M": GPT2Config(n_vocab=50257, n_ctx=1024, n_embd=1024, n_head=16, n_layer=24),
    "774M": GPT2Config(n_vocab=50257, n_ctx=1024, n_embd=1280, n_head=20, n_layer=36),
    "1558M": GPT2Config(n_vocab=50257, n_ctx=1024, n_embd=1600, n_head=25, n_layer=48),
}

# All sizes share the vocabulary. The index holds a CRC-32C of every tensor, which TensorFlow
# verifies as it reads: its digest pins every weight.
VOCABULARY_SHA256 = {
    "encoder.json": "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783",
    "vocab.bpe": "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5",
}
SHA256 = {
    "124M": {
        "checkpoint": "dd1b025d2e155283f5e300ce95bf6d5b6bc0f7fe010db73daa6975eb896ab9cb",
        "hparams.json": "d9d56e4121c427164e0c55c6f03c08e1daf9002b9b672825112d19097b680318",
        "model.ckpt.index": "71916f763f9746f9b2a06b12d91996cf1084ae008d0424543d39391c5f2dc687",
        "model.ckpt.meta": "4668c448fa11531fd6700460487f73e82d3272960cea942252f8744bf225c77b",
    }
}


@dataclass(frozen=True)
class Request:
    """Which weights to fetch, as `fetch_gpt2` in params.yaml asks for them."""

    size: str
    sources: list[str]
    fallback_dir: Path | None
    verify: bool

    @property
    def name(self) -> str:
        """The weights' name in every metrics file and run."""
        return f"gpt2-{self.size}" if self.verify else f"unverified-{self.size}"

    def origin(self, base: str) -> dict[str, str]:
        """What `origin.json` says; unverified weights are known by where they came from alone."""
        return (
            {"name": self.name}
            if self.verify
            else {
                "name": self.name,
                "source": without_secrets(base),
            }
        )

    def pin(self, file: str) -> Pin:
        """What a file of OpenAI's is known to be."""
        size = SIZES[self.size].n_parameters * 4 if file == DATA_FILE else None
        digests = {**VOCABULARY_SHA256, **SHA256.get(self.size, {})} if self.verify else {}
        return Pin(digests.get(file), size)


def fetch_gpt2(request: Request, out_dir: Path, *, patience: Patience | None = None) -> str:
    """Bring the seven files and `origin.json` to a folder; no network when they are there already.

    Files arrive in a folder `<out_dir>.partial`, where a later call goes on with them, and move to
    `out_dir` when all seven are whole.

    Returns: the name of the weights: those asked for, or the stand-in's with a loud warning.

    Raises: InputError with the reason for every source when none serves and there is no stand-in.
    """
    if _is_complete(request, out_dir):
        return request.name
    reasons = []
    kept = _kept(request, out_dir)
    missing = [file for file in OPENAI_FILES if file not in kept]
    for base in bases(request.sources):
        partial_dir = _partial_dir(request, out_dir, base)
        try:
            with source_errors(base):
                _fetch_from(base, request, partial_dir, missing, patience)
        except InputError as error:
            say(f"skipped: {error}")
            reasons.append(str(error))
            continue
        _replace_files(out_dir, partial_dir, missing, request.origin(base))
        shutil.rmtree(partial_dir.parent.parent, ignore_errors=not missing)
        return request.name
    if request.fallback_dir is None:
        raise InputError(
            f"GPT-2 {request.size} cannot be fetched: {'; '.join(reasons)}. Name another source in "
            f"fetch_gpt2.sources or {MIRROR_VARIABLE}, or set fetch_gpt2.fallback: gpt2-mini"
        )
    out_dir.parent.mkdir(parents=True, exist_ok=True)
    _check_stand_in(request.fallback_dir)
    for file in kept:  # a later call goes on with them
        aside_path = _partial_dir(request, out_dir, bases(request.sources)[0]) / file
        aside_path.parent.mkdir(parents=True, exist_ok=True)
        (out_dir / file).replace(aside_path)
    _use_stand_in(request, out_dir)
    return request.fallback_dir.name


def bases(sources: list[str]) -> list[str]:
    """Where to look, in order: the environment's mirror first, then the parameters' sources."""
    mirror = os.environ.get(MIRROR_VARIABLE, "").strip()
    return [mirror, *sources] if mirror else list(sources)


def _partial_dir(request: Request, out_dir: Path, base: str) -> Path:
    return out_dir.with_name(f"{out_dir.name}.partial") / request.name / _tag(base)


def _is_complete(request: Request, out_dir: Path) -> bool:
    """Whether the folder holds the weights that are asked for, each file as it is pinned."""
    return _is_same_origin(request, out_dir) and all(
        _is_good(request, out_dir / file) for file in OPENAI_FILES
    )


def _is_same_origin(request: Request, out_dir: Path) -> bool:
    try:
        return read_json(out_dir / ORIGIN_FILE) == request.origin(bases(request.sources)[0])
    except InputError:
        return False


def _kept(request: Request, out_dir: Path) -> list[str]:
    """Files of a damaged folder that need no fetching: those that are known to be the right ones.

    The large one has no digest. It is known by the folder's origin, or by the index beside it.
    """
    index = "model.ckpt.index"
    if not request.verify:  # nothing pins them: they fit each other only as they are
        return []
    index_is_pinned = request.pin(index).sha256 is not None
    knows_data = _is_same_origin(request, out_dir) or (
        index_is_pinned and _is_good(request, out_dir / index)
    )
    return [
        file
        for file in OPENAI_FILES
        if (request.pin(file).sha256 or (file == DATA_FILE and knows_data))
        and _is_good(request, out_dir / file)
    ]


def _is_good(request: Request, path: Path) -> bool:
    return path.is_file() and request.pin(path.name).problem(path) is None


def _fetch_from(
    base: str, request: Request, folder: Path, files: list[str], patience: Patience | None
) -> None:
    """Fetch what is missing from one base into a folder that only this base's files are in."""
    source = _source_folder(base, request.size)
    small_first = sorted(files, key=lambda file: file == DATA_FILE)  # they fail fast
    for file in small_first:
        pin = request.pin(file)
        # A small file without a digest may be a stale or a wrong one: only the large one is kept.
        keeps = pin != Pin() and _is_good(request, folder / file)
        if not keeps:
            download(f"{source}/{file}", folder / file, pin, patience=patience)
        if file == "hparams.json":
            _check_size(request, folder, f"{source}/{file}")


def _replace_files(
    out_dir: Path, files_dir: Path, files: Sequence[str], origin: dict[str, str]
) -> None:
    """Move files into place; `origin.json`, written last, says that they are whole."""
    out_dir.mkdir(parents=True, exist_ok=True)
    (out_dir / ORIGIN_FILE).unlink(missing_ok=True)
    for file in files:
        (files_dir / file).replace(out_dir / file)
    write_json(out_dir / ORIGIN_FILE, origin)


def _tag(base: str) -> str:
    return hashlib.sha256(base.encode()).hexdigest()[:8]


def _source_folder(base: str, size: str) -> str:
    """The folder of one size below a base; a plain folder may hold the files itself."""
    base = base.rstrip("/")
    path = local_path(base)
    holds_files = path is not None and (path / "hparams.json").is_file()
    return base if holds_files else f"{base}/{size}"


def _check_size(request: Request, folder: Path, source: str) -> None:
    try:
        found = read_hparams(folder)
    except InputError as error:
        raise DownloadError(f"{source}: no hparams.json of GPT-2: {str(error)[:300]}") from None
    if found != SIZES[request.size]:
        raise DownloadError(f"{source}: this is no GPT-2 {request.size}: {str(found)[:300]}")


def _check_stand_in(fallback_dir: Path) -> None:
    record_path = fallback_dir / "training.json"
    digests = read_json(record_path)["sha256"]
    for file in OPENAI_FILES:
        source_path = fallback_dir / file
        if not source_path.is_file() or sha256_of(source_path) != digests[file]:
            raise InputError(f"{source_path}: not the file of {record_path}; restore it by git")


def _use_stand_in(request: Request, out_dir: Path) -> None:
    fallback_dir = request.fallback_dir
    with scratch_folder(beside=out_dir) as folder:
        for file in OPENAI_FILES:
            shutil.copyfile(fallback_dir / file, Path(folder) / file)
        _replace_files(out_dir, Path(folder), OPENAI_FILES, {"name": fallback_dir.name})
    warn(
        f"GPT-2 {request.size} could not be fetched; the small stand-in {fallback_dir.name} takes "
        "its place, and its results say nothing about GPT-2. To fetch the real weights: "
        "`dvc repro --force fetch_gpt2`, then `dvc repro`"
    )

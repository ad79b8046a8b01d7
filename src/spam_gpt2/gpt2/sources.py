"""Where GPT-2's weights come from: OpenAI's files or Hugging Face's, or the embedded stand-in.

Files are called here as `layouts.py` has them, whatever they are called at the source."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Collection
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
from spam_gpt2.gpt2.hf_checkpoint import HF_DATA_FILE, PICKLE_FILE, most_bytes
from spam_gpt2.gpt2.hub import download_from_hub, is_on_hub, repository
from spam_gpt2.gpt2.layouts import HUGGING_FACE, LAYOUTS, OPENAI, Layout
from spam_gpt2.gpt2.tf_checkpoint import DATA_FILE, OPENAI_FILES

MIRROR_VARIABLE = "GPT2_MIRROR"
ORIGIN_FILE = "origin.json"  # which weights these are, beside the checkpoint's files
# Where one of them is, a folder holds the checkpoint itself.
TELLING_FILES = (OPENAI.size_file, HF_DATA_FILE, PICKLE_FILE)

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
# Of `model.safetensors` at the pinned revisions of the hub, causal masks included. None: nobody
# here has seen that file's digest; its size and its revision are what is known.
HF_SHA256 = {
    "124M": "248dfc3911869ec493c76e65bf2fcf7f615828b0254c12b473182f0f81d3a707",
    "355M": "fc5a354a19255ad494f3d71549390baca1ccf61d1d822b9408971705c687c9cd",
    "774M": None,
    "1558M": "0f8b28eb05a8075f48b61b6f35332978c74fc7763fa9fb4051a1c30511736a6a",
}
HF_BYTES = {
    "124M": 548_105_171,
    "355M": 1_519_984_962,
    "774M": 3_247_159_078,
    "1558M": 6_431_829_964,
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
        """What a file is known to be."""
        if file == HF_DATA_FILE:
            if self.verify:
                return Pin(HF_SHA256[self.size], HF_BYTES[self.size])
            return Pin(most=most_bytes(SIZES[self.size]))
        size = SIZES[self.size].n_parameters * 4 if file == DATA_FILE else None
        digests = {**VOCABULARY_SHA256, **SHA256.get(self.size, {})} if self.verify else {}
        return Pin(digests.get(file), size)


def fetch_gpt2(request: Request, out_dir: Path, *, patience: Patience | None = None) -> str:
    """Bring a checkpoint's files and `origin.json` to a folder; no network when they are there.

    Files arrive in a folder `<out_dir>.partial`, where a later call goes on with them, and move to
    `out_dir` when all are whole.

    Returns: the name of the weights: those asked for, or the stand-in's with a loud warning.

    Raises: InputError with the reason for every source when none serves and there is no stand-in.
    """
    if _is_complete(request, out_dir):
        return request.name
    reasons = []
    for base in bases(request.sources):
        partial_dir = _partial_dir(request, out_dir, base)
        try:
            with source_errors(base):
                layout = _layout_at(base, request.size)
                kept = _kept(request, out_dir, layout)
                missing = [file for file in layout.files if file not in kept]
                _fetch_from(base, layout, request, partial_dir, missing, patience)
        except InputError as error:
            say(f"skipped: {error}")
            reasons.append(str(error))
            continue
        _replace_files(out_dir, partial_dir, missing, layout, request.origin(base))
        shutil.rmtree(partial_dir.parent.parent, ignore_errors=not missing)
        return request.name
    if request.fallback_dir is None:
        raise InputError(
            f"GPT-2 {request.size} cannot be fetched: {'; '.join(reasons)}. Name another source in "
            f"fetch_gpt2.sources or {MIRROR_VARIABLE}, or set fetch_gpt2.fallback: gpt2-mini"
        )
    out_dir.parent.mkdir(parents=True, exist_ok=True)
    _check_stand_in(request.fallback_dir)
    _set_aside(request, out_dir)
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
    return _is_same_origin(request, out_dir) and any(
        all(_is_good(request, out_dir / file) for file in layout.files) for layout in LAYOUTS
    )


def _is_same_origin(request: Request, out_dir: Path) -> bool:
    try:
        return read_json(out_dir / ORIGIN_FILE) == request.origin(bases(request.sources)[0])
    except InputError:
        return False


def _set_aside(request: Request, out_dir: Path) -> None:
    """Move what a later call can go on with to where it looks: the first source of that layout."""
    for base in bases(request.sources):
        try:
            layout = _layout_at(base, request.size)
        except DownloadError:
            continue
        for file in _kept(request, out_dir, layout):
            aside_path = _partial_dir(request, out_dir, base) / file
            aside_path.parent.mkdir(parents=True, exist_ok=True)
            (out_dir / file).replace(aside_path)


def _kept(request: Request, out_dir: Path, layout: Layout) -> list[str]:
    """Files of a damaged folder that need no fetching: those that are known to be the right ones.

    A large one without digest is known by the folder's origin, OpenAI's by the index, too.
    """
    index = "model.ckpt.index"
    if not request.verify:  # nothing pins them: they fit each other only as they are
        return []
    index_is_pinned = request.pin(index).sha256 is not None
    knows_data = _is_same_origin(request, out_dir) or (
        layout is OPENAI and index_is_pinned and _is_good(request, out_dir / index)
    )
    return [
        file
        for file in layout.files
        if (request.pin(file).sha256 or (file == layout.data_file and knows_data))
        and _is_good(request, out_dir / file)
    ]


def _is_good(request: Request, path: Path) -> bool:
    return path.is_file() and request.pin(path.name).problem(path) is None


def _fetch_from(
    base: str,
    layout: Layout,
    request: Request,
    folder: Path,
    files: list[str],
    patience: Patience | None,
) -> None:
    """Fetch what is missing from one base into a folder that only this base's files are in."""
    small_first = sorted(files, key=lambda file: file == layout.data_file)  # they fail fast
    for file in small_first:
        pin, name = request.pin(file), layout.files[file]
        # A small file without a digest may be a stale or a wrong one: only the large one is kept.
        keeps = pin.tells and _is_good(request, folder / file)
        if not keeps:
            _fetch_file(base, request.size, name, folder / file, pin, patience)
        if file == layout.size_file:
            _check_size(request, layout, folder, f"{_source_folder(base, request.size)}/{name}")


def _fetch_file(
    base: str, size: str, name: str, path: Path, pin: Pin, patience: Patience | None
) -> None:
    if is_on_hub(base):
        download_from_hub(repository(base, size), name, path, pin, patience=patience)
    else:
        download(f"{_source_folder(base, size)}/{name}", path, pin, patience=patience)


def _replace_files(
    out_dir: Path,
    files_dir: Path,
    files: Collection[str],
    layout: Layout,
    origin: dict[str, str],
) -> None:
    """Move files into place; `origin.json`, written last, says that they are whole.

    Those of another layout go: 500 MB that nobody would read.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    (out_dir / ORIGIN_FILE).unlink(missing_ok=True)
    for file in files:
        (files_dir / file).replace(out_dir / file)
    for file in {file for other in LAYOUTS for file in other.files} - layout.files.keys():
        (out_dir / file).unlink(missing_ok=True)
    write_json(out_dir / ORIGIN_FILE, origin)


def _tag(base: str) -> str:
    return hashlib.sha256(base.encode()).hexdigest()[:8]


def _source_folder(base: str, size: str) -> str:
    """The folder of one size below a base; a plain folder may hold the files itself."""
    base = base.rstrip("/")
    if is_on_hub(base):
        return f"{base}@{repository(base, size).revision}" if "@" not in base else base
    path = local_path(base)
    holds_files = path is not None and any((path / file).is_file() for file in TELLING_FILES)
    return base if holds_files else f"{base}/{size}"


def _layout_at(base: str, size: str) -> Layout:
    """How a source lays out its files: a folder tells by what is in it.

    Raises: DownloadError for a folder whose weights are a pickle.
    """
    if is_on_hub(base):
        return HUGGING_FACE
    path = local_path(_source_folder(base, size))
    if path is None or (path / OPENAI.size_file).is_file():
        return OPENAI
    if (path / HF_DATA_FILE).is_file():
        return HUGGING_FACE
    if (path / PICKLE_FILE).is_file():
        raise DownloadError(
            f"{path}: no {HF_DATA_FILE}; {PICKLE_FILE} is a pickle, which is never loaded. "
            "Save the model with transformers, which writes safetensors"
        )
    return OPENAI


def _check_size(request: Request, layout: Layout, folder: Path, source: str) -> None:
    try:
        found = layout.read_size(folder)
    except InputError as error:
        name = layout.size_file
        raise DownloadError(f"{source}: no {name} of GPT-2: {str(error)[:300]}") from None
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
        origin = {"name": fallback_dir.name}
        _replace_files(out_dir, Path(folder), OPENAI_FILES, OPENAI, origin)
    warn(
        f"GPT-2 {request.size} could not be fetched; the small stand-in {fallback_dir.name} takes "
        "its place, and its results say nothing about GPT-2. To fetch the real weights: "
        "`dvc repro --force fetch_gpt2`, then `dvc repro`"
    )

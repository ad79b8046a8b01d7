"""The hub as a source: through HF_ENDPOINT, by huggingface_hub's settings, past its faults."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from conftest import MINI_DIR, TINY
from http_server import Website, breaking_off, closed_port, refusing, serving, silent, stalling
from huggingface_hub import constants
from reference import reference_model

from spam_gpt2.common.download import DownloadError, Patience
from spam_gpt2.common.files import InputError
from spam_gpt2.gpt2 import sources as gpt2_sources
from spam_gpt2.gpt2.hub import REVISIONS, repository
from spam_gpt2.gpt2.layouts import HUGGING_FACE
from spam_gpt2.gpt2.manifest import find_checkpoint, write_manifest
from spam_gpt2.gpt2.sources import Request, fetch_gpt2
from spam_gpt2.gpt2.weights import random_gpt2

ONE_TRY = Patience(connect=2, read=0.5, attempts=1)
SOURCE = "hf:openai-community/gpt2"
REVISION = REVISIONS["openai-community/gpt2"]
FOLDER = f"/openai-community/gpt2/resolve/{REVISION}"
DATA_FILE = "model.safetensors"
AT_HUB = ("config.json", DATA_FILE, "vocab.json", "merges.txt")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A tiny model's files under the hub's names."""
    folder = tmp_path_factory.mktemp("hub")
    reference_model(random_gpt2(TINY, 1)).save_pretrained(folder)
    made = {file: (folder / file).read_bytes() for file in ("config.json", DATA_FILE)}
    made["vocab.json"] = (MINI_DIR / "encoder.json").read_bytes()
    made["merges.txt"] = (MINI_DIR / "vocab.bpe").read_bytes()
    return made


@pytest.fixture
def hub(
    files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Website]:
    """A server with the pinned revision, whose files are pinned as the real ones are."""
    digest = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    vocabulary = {"encoder.json": digest["vocab.json"], "vocab.bpe": digest["merges.txt"]}
    monkeypatch.setitem(gpt2_sources.SIZES, "124M", TINY)
    monkeypatch.setitem(gpt2_sources.HF_SHA256, "124M", digest[DATA_FILE])
    monkeypatch.setitem(gpt2_sources.HF_BYTES, "124M", len(files[DATA_FILE]))
    monkeypatch.setattr(gpt2_sources, "VOCABULARY_SHA256", vocabulary)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    for variable in ("GPT2_MIRROR", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(variable, raising=False)
    with serving() as website:
        for name, content in files.items():
            website.add(f"{FOLDER}/{name}", content)
        monkeypatch.setattr(
            constants,
            "HUGGINGFACE_CO_URL_TEMPLATE",
            website.address + "/{repo_id}/resolve/{revision}/{filename}",
        )
        yield website


@pytest.fixture
def out_dir(tmp_path: Path) -> Path:
    return tmp_path / "models/checkpoint"


def fetch(out_dir: Path, *sources: str, verify: bool = True) -> str:
    wanted = Request("124M", list(sources or (SOURCE,)), None, verify)
    return fetch_gpt2(wanted, out_dir, patience=ONE_TRY)


def failure(out_dir: Path, *sources: str, verify: bool = True) -> str:
    with pytest.raises(InputError) as caught:
        fetch(out_dir, *sources, verify=verify)
    assert "\n" not in str(caught.value)
    assert not out_dir.exists()
    return str(caught.value)


def assert_arrived(out_dir: Path, files: dict[str, bytes]) -> None:
    names = {ours: files[theirs] for ours, theirs in HUGGING_FACE.files.items()}
    assert {path.name for path in out_dir.iterdir()} == {*names, "origin.json"}
    assert {name: (out_dir / name).read_bytes() for name in names} == names


def asked_for(hub: Website) -> list[str]:
    return [exchange.path for exchange in hub.exchanges]


def test_four_files_arrive_from_the_pinned_revision(
    hub: Website, files: dict[str, bytes], out_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert fetch(out_dir) == "gpt2-124M"
    assert_arrived(out_dir, files)
    assert sorted(asked_for(hub)) == sorted(f"{FOLDER}/{name}" for name in AT_HUB)
    assert asked_for(hub)[-1].endswith(DATA_FILE)
    hub.recover()
    assert fetch(out_dir) == "gpt2-124M"
    assert hub.exchanges == []
    write_manifest(out_dir, out_dir.parent / "checkpoint.json")
    monkeypatch.chdir(out_dir.parents[1])
    folder, name, layout = find_checkpoint()
    assert (folder.resolve(), name, layout) == (out_dir, "gpt2-124M", HUGGING_FACE)
    assert layout.read(folder)[1].keys() == dict(random_gpt2(TINY, 1).named_parameters()).keys()


FAULTS = {
    "404": refusing(404),
    "401": refusing(401),
    "503": refusing(503),
    "truncated": breaking_off(100),
    "stalled": stalling(100),
    "silent": silent,
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("file", ["config.json", DATA_FILE])
def test_after_a_fault_the_next_source_serves(
    hub: Website,
    files: dict[str, bytes],
    out_dir: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    fault: Callable,
    file: str,
) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    hub.always(fault, on=file)
    assert fetch(out_dir, SOURCE, str(folder)) == "gpt2-124M"
    assert_arrived(out_dir, files)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"skipped: {hub.address}{FOLDER}/{file}: ")


@pytest.mark.parametrize("file", [DATA_FILE, "vocab.json", "merges.txt"])
def test_another_digest_is_refused_where_weights_are_verified(
    hub: Website, files: dict[str, bytes], out_dir: Path, file: str
) -> None:
    hub.add(f"{FOLDER}/{file}", files[file][:-1] + b"#")
    assert f"{FOLDER}/{file}: not the expected file: SHA-256 is" in failure(out_dir)


def test_a_model_of_another_size_is_refused_before_its_weights(
    hub: Website, files: dict[str, bytes], out_dir: Path
) -> None:
    wider = json.dumps(json.loads(files["config.json"]) | {"n_embd": 64}).encode()
    hub.add(f"{FOLDER}/config.json", wider)
    assert f"{SOURCE}@{REVISION}/config.json: this is no GPT-2 124M" in failure(out_dir)
    assert not any(path.endswith(DATA_FILE) for path in asked_for(hub))


def test_nothing_listens(hub: Website, out_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    template = closed_port() + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    assert "the connection is refused" in failure(out_dir)


def test_ones_own_repository_is_fetched_unverified(
    hub: Website, files: dict[str, bytes], out_dir: Path
) -> None:
    for name, content in files.items():
        hub.add(f"/me/mine/resolve/v1/{name}", content)
    assert fetch(out_dir, "hf:me/mine@v1", verify=False) == "unverified-124M"
    assert_arrived(out_dir, files)
    origin = json.loads((out_dir / "origin.json").read_text())
    assert origin == {"name": "unverified-124M", "source": "hf:me/mine@v1"}


def test_unverified_weights_are_no_larger_than_they_can_be(
    hub: Website, files: dict[str, bytes], out_dir: Path
) -> None:
    hub.add(f"{FOLDER}/{DATA_FILE}", bytes(4 << 20))
    assert "not the expected file: 4,194,304 bytes instead of" in failure(out_dir, verify=False)


def test_a_later_call_goes_on_where_the_last_one_stopped(
    hub: Website, files: dict[str, bytes], out_dir: Path
) -> None:
    hub.always(breaking_off(300_000), on=DATA_FILE)
    failure(out_dir)
    hub.recover()
    fetch(out_dir)
    assert_arrived(out_dir, files)
    large = [exchange for exchange in hub.exchanges if exchange.path.endswith(DATA_FILE)]
    assert [exchange.start is not None and exchange.start > 0 for exchange in large] == [True]


@pytest.mark.parametrize("verify", [True, False])
def test_a_folder_of_ones_own_serves(
    hub: Website, files: dict[str, bytes], out_dir: Path, tmp_path: Path, verify: bool
) -> None:
    for name, content in files.items():
        (tmp_path / "own/124M").mkdir(parents=True, exist_ok=True)
        (tmp_path / "own/124M" / name).write_bytes(content)
    fetch(out_dir, str(tmp_path / "own"), verify=verify)
    assert_arrived(out_dir, files)
    assert hub.exchanges == []


def test_a_pickle_is_refused(hub: Website, out_dir: Path, tmp_path: Path) -> None:
    folder = tmp_path / "old"
    folder.mkdir()
    torch.save({}, folder / "pytorch_model.bin")
    line = failure(out_dir, str(folder), verify=False)
    assert f"{folder}: no model.safetensors; pytorch_model.bin is a pickle" in line


def test_openais_files_make_place(hub: Website, files: dict[str, bytes], out_dir: Path) -> None:
    out_dir.mkdir(parents=True)
    (out_dir / "model.ckpt.index").write_bytes(b"of another layout")
    fetch(out_dir)
    assert_arrived(out_dir, files)


@pytest.mark.parametrize(
    ("size", "name"),
    [("124M", "gpt2"), ("355M", "gpt2-medium"), ("774M", "gpt2-large"), ("1558M", "gpt2-xl")],
)
def test_one_address_stands_for_all_sizes_at_pinned_revisions(size: str, name: str) -> None:
    for source in (SOURCE, f"hf:openai-community/{name}"):
        found = repository(source, size)
        assert found.name == f"openai-community/{name}"
        assert found.revision == REVISIONS[found.name]
        assert len(found.revision) == 40


@pytest.mark.parametrize(
    "source", ["hf:", "hf:gpt2", "hf:a/b/c", "hf:a/../b", "hf:a/b@", "hf:a b/c"]
)
def test_what_is_no_repository_is_refused(source: str) -> None:
    with pytest.raises(DownloadError, match="not hf:owner/name"):
        repository(source, "124M")


PROGRAM = """
import sys
from pathlib import Path
from spam_gpt2.common.download import DownloadError, Patience, Pin
from spam_gpt2.gpt2.hub import Repository, download_from_hub
where = Repository("me/mine", "0" * 40)
try:
    download_from_hub(where, "config.json", Path(sys.argv[1]), Pin(), patience=Patience(attempts=1))
except DownloadError as error:
    sys.exit(f"refused: {error}")
"""


def run(path: Path, **environment: str) -> str:
    """Fetch one file in a process of its own, as these variables say; returns what it complains."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGING"))}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(path)],
        env=kept | {"HF_HOME": str(path.parent / "home")} | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.stderr


def test_the_hubs_variables_are_heeded(tmp_path: Path) -> None:
    """HF_ENDPOINT and HF_TOKEN; the token does not follow to another host."""
    with serving() as storage, serving() as website:
        there = storage.add("/blob", b"{}")
        address = f"/me/mine/resolve/{'0' * 40}/config.json"
        website.always(lambda call: call.head(302, 0, Location=there), on="config.json")
        assert run(tmp_path / "got", HF_ENDPOINT=website.address, HF_TOKEN="hf_secret") == ""
        assert (tmp_path / "got").read_bytes() == b"{}"
        assert website.exchanges[0].path == address
        assert website.exchanges[0].headers["Authorization"] == "Bearer hf_secret"
        assert "Authorization" not in storage.exchanges[0].headers


def test_offline_the_hubs_cache_serves_alone(tmp_path: Path) -> None:
    with serving() as website:
        settings = {"HF_ENDPOINT": website.address, "HF_HUB_OFFLINE": "1"}
        line = run(tmp_path / "got", **settings)
        assert "HF_HUB_OFFLINE is set, and config.json is not in the hub's cache" in line
        cache = tmp_path / "home/hub/models--me--mine/snapshots" / ("0" * 40)
        cache.mkdir(parents=True)
        (cache / "config.json").write_bytes(b"{}")
        assert run(tmp_path / "got", **settings) == ""
        assert (tmp_path / "got").read_bytes() == b"{}"
        assert website.exchanges == []

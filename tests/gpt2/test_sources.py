"""GPT-2's files arrive whole and verified from the first source that has them, or a stand-in."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import ROOT
from full_disk import little_room
from http_server import (
    Website,
    breaking_off,
    closed_port,
    refusing,
    serving,
    stalling,
)

from spam_gpt2.common.download import Patience
from spam_gpt2.common.files import InputError, sha256_of
from spam_gpt2.gpt2 import sources as gpt2_sources
from spam_gpt2.gpt2.config import GPT2Config
from spam_gpt2.gpt2.sources import SIZES, Request, fetch_gpt2
from spam_gpt2.gpt2.tf_checkpoint import DATA_FILE, OPENAI_FILES

STAND_IN_DIR = ROOT / "models/gpt2-mini"
SHARED_DIR = ROOT.parent / "shared/data/gpt2-124M"
NEEDS_SHARED = pytest.mark.skipif(not SHARED_DIR.is_dir(), reason=f"no {SHARED_DIR}")
SMALL_FILES = tuple(file for file in OPENAI_FILES if file != DATA_FILE)

QUICK = Patience(connect=2, read=0.5, attempts=2, pause=0.01)
ONE_TRY = Patience(connect=2, read=0.5, attempts=1)
SLACK = 1 << 18  # bytes that may be lost with a connection
FETCHES_AGAIN = "dvc repro --force fetch_gpt2"

# One number wide, so that its embeddings make up the data file: 300,000 + 4 of 300,031 weights.
TINY = GPT2Config(n_vocab=300_000, n_ctx=4, n_embd=1, n_head=1, n_layer=1)
DATA_SIZE = 300_031 * 4
BREAK = 700_000


def checkpoint(seed: int, hparams: GPT2Config = TINY) -> dict[str, bytes]:
    """Seven files that are the right ones by name and size; all else in them is noise."""
    draw = random.Random(seed)
    made = {file: draw.randbytes(500) for file in OPENAI_FILES}
    made["hparams.json"] = json.dumps(vars(hparams)).encode()
    made[DATA_FILE] = draw.randbytes(DATA_SIZE)
    return made


REAL = checkpoint(1)
OWN = checkpoint(2)  # of the same size, but not OpenAI's
STAND_IN = checkpoint(3, GPT2Config(n_vocab=7, n_ctx=4, n_embd=1, n_head=1, n_layer=1))


@pytest.fixture(autouse=True)
def _no_mirror(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GPT2_MIRROR", raising=False)


@pytest.fixture
def tiny_real(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Seven tiny files that are pinned as OpenAI's 124M files are."""
    digests = {file: hashlib.sha256(REAL[file]).hexdigest() for file in SMALL_FILES}
    vocabulary = {file: digests.pop(file) for file in ("encoder.json", "vocab.bpe")}
    monkeypatch.setitem(gpt2_sources.SIZES, "124M", TINY)
    monkeypatch.setitem(gpt2_sources.SHA256, "124M", digests)
    monkeypatch.setattr(gpt2_sources, "VOCABULARY_SHA256", vocabulary)
    return REAL


@pytest.fixture
def server() -> Iterator[Website]:
    with serving() as website:
        yield website


@pytest.fixture
def out_dir(tmp_path: Path) -> Path:
    return tmp_path / "models/checkpoint"


@pytest.fixture
def stand_in_dir(tmp_path: Path) -> Path:
    """A stand-in with the record of its digests."""
    folder = written(tmp_path / "gpt2-tiny", STAND_IN)
    digests = {file: hashlib.sha256(content).hexdigest() for file, content in STAND_IN.items()}
    (folder / "training.json").write_text(json.dumps({"sha256": digests}))
    return folder


def served(server: Website, files: dict[str, bytes], base: str = "/gpt2") -> str:
    """Put files on the server, below the folder of their size."""
    for file, content in files.items():
        server.add(f"{base}/124M/{file}", content)
    return server.address + base


def written(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for file, content in files.items():
        (folder / file).write_bytes(content)
    return folder


def request(
    *sources: str, fallback_dir: Path | None = None, verify: bool = True, size: str = "124M"
) -> Request:
    return Request(size, list(sources), fallback_dir, verify)


def fetch(wanted: Request, out_dir: Path, patience: Patience = QUICK) -> str:
    return fetch_gpt2(wanted, out_dir, patience=patience)


def failure(wanted: Request, out_dir: Path, patience: Patience = QUICK) -> str:
    """The one line of a fetch that fails."""
    with pytest.raises(InputError) as caught:
        fetch(wanted, out_dir, patience)
    line = str(caught.value)
    assert "\n" not in line
    return line


def assert_holds(out_dir: Path, files: dict[str, bytes], name: str) -> None:
    """The folder holds these files, the weights' name, and nothing else."""
    assert {p.name for p in out_dir.iterdir()} == {*OPENAI_FILES, "origin.json"}
    assert {file: (out_dir / file).read_bytes() for file in OPENAI_FILES} == files
    assert json.loads((out_dir / "origin.json").read_text())["name"] == name


def asked_for(server: Website) -> list[str]:
    return [exchange.path.rpartition("/")[2] for exchange in server.exchanges]


def test_seven_files_arrive_with_one_request_each(
    tiny_real: dict[str, bytes], server: Website, out_dir: Path
) -> None:
    assert fetch(request(served(server, tiny_real)), out_dir) == "gpt2-124M"
    assert_holds(out_dir, tiny_real, "gpt2-124M")
    assert sorted(asked_for(server)) == sorted(OPENAI_FILES)
    assert list(out_dir.parent.iterdir()) == [out_dir]


def test_files_that_are_there_cost_no_request(
    tiny_real: dict[str, bytes], server: Website, out_dir: Path, stand_in_dir: Path
) -> None:
    wanted = request(served(server, tiny_real), fallback_dir=stand_in_dir)
    fetch(wanted, out_dir)
    before = {path: path.stat() for path in out_dir.iterdir()}
    server.recover()
    server.always(refusing(503))
    assert fetch(wanted, out_dir) == "gpt2-124M"
    assert server.exchanges == []
    assert {path: path.stat() for path in out_dir.iterdir()} == before


DAMAGE = {
    "encoder.json": REAL["encoder.json"][:-1] + b"#",
    "model.ckpt.index": REAL["model.ckpt.index"][:-1] + b"#",
    DATA_FILE: REAL[DATA_FILE][:-1],
    "origin.json": b'{"name": "gpt2-355M"}',
}


@pytest.mark.parametrize("file", DAMAGE)
def test_a_damaged_file_is_fetched_again(
    tiny_real: dict[str, bytes], server: Website, out_dir: Path, file: str
) -> None:
    wanted = request(served(server, tiny_real))
    fetch(wanted, out_dir)
    (out_dir / file).write_bytes(DAMAGE[file])
    fetch(wanted, out_dir)
    assert_holds(out_dir, tiny_real, "gpt2-124M")


@pytest.mark.parametrize("file", SMALL_FILES)
@pytest.mark.parametrize("gone", [True, False], ids=["missing", "damaged"])
def test_one_small_file_is_fetched_alone(
    tiny_real: dict[str, bytes], server: Website, out_dir: Path, file: str, gone: bool
) -> None:
    """Not the 500 MB beside it, whatever the source."""
    fetch(request(served(server, tiny_real)), out_dir)
    (out_dir / file).unlink() if gone else (out_dir / file).write_bytes(b"#")
    server.recover()
    fetch(request(served(server, tiny_real, "/mirror")), out_dir)
    assert [exchange.path for exchange in server.exchanges] == [f"/mirror/124M/{file}"]
    assert_holds(out_dir, tiny_real, "gpt2-124M")


@pytest.mark.parametrize("file", [*OPENAI_FILES, "origin.json"])
def test_a_missing_file_is_fetched_again(
    tiny_real: dict[str, bytes], server: Website, out_dir: Path, file: str
) -> None:
    wanted = request(served(server, tiny_real))
    fetch(wanted, out_dir)
    (out_dir / file).unlink()
    fetch(wanted, out_dir)
    assert_holds(out_dir, tiny_real, "gpt2-124M")


def test_a_wrong_small_file_shows_before_the_large_one_is_asked_for(
    tiny_real: dict[str, bytes], server: Website, out_dir: Path
) -> None:
    for file in SMALL_FILES:
        server.recover()
        line = failure(request(served(server, tiny_real | {file: OWN["checkpoint"]})), out_dir)
        assert f"/124M/{file}: not the expected file: SHA-256" in line
        assert DATA_FILE not in asked_for(server)


@pytest.mark.parametrize("fault", [refusing(404), refusing(503), breaking_off(100), stalling(100)])
@pytest.mark.parametrize("file", ["encoder.json", DATA_FILE])
def test_the_second_source_serves_when_the_first_fails(
    tiny_real: dict[str, bytes], server: Website, out_dir: Path, fault: Callable, file: str
) -> None:
    first = served(server, tiny_real, "/first")
    second = served(server, tiny_real, "/second")
    server.always(fault, on=f"/first/124M/{file}")
    assert fetch(request(first, second), out_dir, ONE_TRY) == "gpt2-124M"
    assert_holds(out_dir, tiny_real, "gpt2-124M")
    assert list(out_dir.parent.iterdir()) == [out_dir]


def test_files_of_two_sources_are_not_mixed(
    tiny_real: dict[str, bytes], server: Website, out_dir: Path
) -> None:
    """Nothing pins the files of unverified weights: they fit each other only as they are."""
    first, second = served(server, OWN, "/first"), served(server, REAL, "/second")
    server.always(breaking_off(BREAK), on=f"/first/124M/{DATA_FILE}")
    fetch(request(first, second, verify=False), out_dir, ONE_TRY)
    assert_holds(out_dir, REAL, "unverified-124M")


def test_the_mirror_of_the_environment_goes_first(
    tiny_real: dict[str, bytes],
    server: Website,
    out_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mirror, source = served(server, tiny_real, "/mirror"), served(server, tiny_real, "/source")
    monkeypatch.setenv("GPT2_MIRROR", mirror)
    fetch(request(source), out_dir)
    assert {exchange.path.split("/")[1] for exchange in server.exchanges} == {"mirror"}
    assert_holds(out_dir, tiny_real, "gpt2-124M")


@pytest.mark.parametrize("mirror", ["", "  ", "/no/such/folder"])
def test_a_useless_mirror_does_no_harm(
    tiny_real: dict[str, bytes],
    server: Website,
    out_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    mirror: str,
) -> None:
    monkeypatch.setenv("GPT2_MIRROR", mirror)
    assert fetch(request(served(server, tiny_real)), out_dir) == "gpt2-124M"
    assert capsys.readouterr().err.count("skipped: ") == bool(mirror.strip())


@pytest.mark.parametrize("below", ["", "124M"], ids=["right in it", "a folder per size"])
@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("address", [str, Path.as_uri], ids=["path", "file address"])
def test_a_folder_may_hold_the_files_itself_or_below_their_size(
    tiny_real: dict[str, bytes],
    out_dir: Path,
    tmp_path: Path,
    below: str,
    slash: str,
    address: Callable[[Path], str],
) -> None:
    source_dir = tmp_path / "source"
    written(source_dir / below, tiny_real)
    fetch(request(address(source_dir) + slash), out_dir)
    assert_holds(out_dir, tiny_real, "gpt2-124M")
    assert {p.name for p in (source_dir / below).iterdir()} == set(OPENAI_FILES)


def test_a_web_address_may_end_in_a_slash(
    tiny_real: dict[str, bytes], server: Website, out_dir: Path
) -> None:
    fetch(request(served(server, tiny_real) + "/"), out_dir)
    assert_holds(out_dir, tiny_real, "gpt2-124M")


@pytest.mark.parametrize("fault", [breaking_off(BREAK), stalling(BREAK)])
def test_a_later_call_goes_on_where_the_last_one_stopped(
    tiny_real: dict[str, bytes], server: Website, out_dir: Path, fault: Callable
) -> None:
    wanted = request(served(server, tiny_real))
    server.always(fault, on=DATA_FILE)
    failure(wanted, out_dir, ONE_TRY)
    assert not out_dir.exists()
    server.recover()
    fetch(wanted, out_dir)
    assert_holds(out_dir, tiny_real, "gpt2-124M")
    assert asked_for(server) == [DATA_FILE]  # the small files were there
    assert server.sent <= DATA_SIZE - BREAK + SLACK
    assert list(out_dir.parent.iterdir()) == [out_dir]


@pytest.mark.parametrize("file", ["vocab.bpe", DATA_FILE])
def test_a_failed_fetch_leaves_the_old_files_as_they_are(
    tiny_real: dict[str, bytes], server: Website, out_dir: Path, file: str
) -> None:
    written(out_dir, OWN | {"origin.json": b'{"name": "unverified-124M"}'})
    server.always(breaking_off(100), on=file)
    failure(request(served(server, tiny_real)), out_dir, ONE_TRY)
    assert_holds(out_dir, OWN, "unverified-124M")


def test_an_interrupted_move_is_never_taken_for_whole(
    tiny_real: dict[str, bytes],
    server: Website,
    out_dir: Path,
    stand_in_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real, replace = request(served(server, tiny_real)), Path.replace

    def stop_half_way(path: Path, target: Path) -> Path:
        if target == out_dir / "model.ckpt.meta":
            raise KeyboardInterrupt
        return replace(path, target)

    fetch(request(str(out_dir / "nowhere"), fallback_dir=stand_in_dir), out_dir)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", stop_half_way)
        with pytest.raises(KeyboardInterrupt):
            fetch(real, out_dir)
    assert not (out_dir / "origin.json").exists()  # which says that the seven files are whole
    fetch(real, out_dir)
    assert_holds(out_dir, tiny_real, "gpt2-124M")


def test_unverified_weights_are_fetched_and_named_so(
    tiny_real: dict[str, bytes], server: Website, out_dir: Path
) -> None:
    base = served(server, OWN)
    assert "not the expected file" in failure(request(base), out_dir)
    assert fetch(request(base, verify=False), out_dir) == "unverified-124M"
    assert_holds(out_dir, OWN, "unverified-124M")


def test_unverified_weights_never_pass_for_the_real_ones(
    tiny_real: dict[str, bytes], server: Website, out_dir: Path
) -> None:
    fetch(request(served(server, OWN), verify=False), out_dir)
    assert fetch(request(served(server, tiny_real)), out_dir) == "gpt2-124M"
    assert_holds(out_dir, tiny_real, "gpt2-124M")


DEEP = {
    "lists": b"[" * 200_000,
    "keys": b'{"a":' * 200_000,
    "closed": b"[" * 200_000 + b"]" * 200_000,
}


@pytest.mark.parametrize("content", DEEP.values(), ids=DEEP)
def test_after_hparams_that_nest_deeply_the_next_source_serves(
    tiny_real: dict[str, bytes], server: Website, out_dir: Path, content: bytes
) -> None:
    bad = served(server, OWN | {"hparams.json": content}, "/bad")
    fetch(request(bad, served(server, OWN), verify=False), out_dir)
    assert_holds(out_dir, OWN, "unverified-124M")
    assert "/124M/hparams.json" in failure(request(bad, verify=False), out_dir)


def test_unverified_weights_of_another_size_are_refused_before_the_large_file(
    tiny_real: dict[str, bytes], server: Website, out_dir: Path
) -> None:
    wider = GPT2Config(n_vocab=300_000, n_ctx=4, n_embd=2, n_head=1, n_layer=1)
    base = served(server, checkpoint(1, wider))
    assert "this is no GPT-2 124M" in failure(request(base, verify=False), out_dir)
    assert DATA_FILE not in asked_for(server)
    assert not out_dir.exists()


@pytest.mark.parametrize("page", [b"<html>Sign in</html>", b"{}", b'{"n_vocab": 50257}', b""])
def test_unverified_weights_without_their_five_numbers_are_refused(
    tiny_real: dict[str, bytes], server: Website, out_dir: Path, page: bytes
) -> None:
    base = served(server, OWN | {"hparams.json": page})
    assert "hparams.json" in failure(request(base, verify=False), out_dir)
    assert not out_dir.exists()


def test_an_unverified_data_file_must_have_the_size_of_its_weights(
    tiny_real: dict[str, bytes], server: Website, out_dir: Path
) -> None:
    base = served(server, OWN | {DATA_FILE: OWN[DATA_FILE] + b"!"})
    line = failure(request(base, verify=False), out_dir)
    assert f"{DATA_FILE}: not the expected file: 1,200,125 bytes instead of 1,200,124" in line


def test_without_a_stand_in_one_line_gives_every_reason_and_what_to_do(
    tiny_real: dict[str, bytes], server: Website, out_dir: Path, tmp_path: Path
) -> None:
    sources = [f"{server.address}/gpt2", f"{closed_port()}/gpt2", str(tmp_path / "empty")]
    line = failure(request(*sources), out_dir)
    reasons = ("answers 404", "connection is refused", "No such file")
    advice = ("GPT-2 124M", "fetch_gpt2.sources", "GPT2_MIRROR", "fallback: gpt2-mini")
    assert all(part in line for part in (*sources, *reasons, *advice))
    assert not out_dir.exists()


def test_the_stand_in_takes_the_place_loudly(
    tiny_real: dict[str, bytes],
    server: Website,
    out_dir: Path,
    stand_in_dir: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    source = f"{server.address}/gpt2"
    assert fetch(request(source, fallback_dir=stand_in_dir), out_dir) == "gpt2-tiny"
    assert_holds(out_dir, STAND_IN, "gpt2-tiny")
    skipped, warning = capsys.readouterr().err.splitlines()
    assert skipped.startswith(f"skipped: {source}/124M/")
    assert warning.startswith("WARNING: GPT-2 124M could not be fetched")
    assert "gpt2-tiny" in warning
    assert f"`{FETCHES_AGAIN}`" in warning
    assert {p.name for p in stand_in_dir.iterdir()} == {*OPENAI_FILES, "training.json"}


@pytest.mark.parametrize("where", ["server", "folder"])
def test_on_a_full_disk_nothing_takes_the_place_of_what_was_asked_for(
    tiny_real: dict[str, bytes],
    server: Website,
    out_dir: Path,
    stand_in_dir: Path,
    tmp_path: Path,
    where: str,
) -> None:
    folder = written(tmp_path / "mirror", tiny_real)
    source = str(folder) if where == "folder" else served(server, tiny_real)
    wanted = request(source, fallback_dir=stand_in_dir)
    with little_room(BREAK), pytest.raises(OSError, match="File too large") as caught:
        fetch(wanted, out_dir)
    named = caught.value.filename2 or caught.value.filename
    assert named.startswith(f"{out_dir}.partial/gpt2-124M/")
    assert not out_dir.exists()
    assert fetch(wanted, out_dir) == "gpt2-124M"
    assert_holds(out_dir, tiny_real, "gpt2-124M")


def test_the_real_weights_take_the_stand_ins_place_when_they_can_be_had(
    tiny_real: dict[str, bytes], server: Website, out_dir: Path, stand_in_dir: Path
) -> None:
    wanted = request(served(server, tiny_real), fallback_dir=stand_in_dir)
    server.always(breaking_off(BREAK), on=DATA_FILE)
    assert fetch(wanted, out_dir, ONE_TRY) == "gpt2-tiny"
    server.recover()
    assert fetch(wanted, out_dir) == "gpt2-124M"
    assert_holds(out_dir, tiny_real, "gpt2-124M")
    assert asked_for(server) == [DATA_FILE]  # what had arrived was kept beside the stand-in
    assert list(out_dir.parent.iterdir()) == [out_dir]


@pytest.mark.parametrize("file", OPENAI_FILES)
@pytest.mark.parametrize("is_missing", [True, False], ids=["missing", "damaged"])
def test_a_stand_in_that_is_not_as_recorded_is_refused(
    tiny_real: dict[str, bytes], out_dir: Path, stand_in_dir: Path, file: str, is_missing: bool
) -> None:
    path = stand_in_dir / file
    content = path.read_bytes()
    path.unlink() if is_missing else path.write_bytes(content[:-1] + b"#")
    line = failure(request(str(out_dir / "nowhere"), fallback_dir=stand_in_dir), out_dir)
    assert line.startswith(f"{path}: not the file of {stand_in_dir / 'training.json'}")
    assert not out_dir.exists()
    assert [p for p in out_dir.parent.iterdir() if p.name.startswith(".")] == []


def test_the_embedded_stand_in_is_as_recorded(out_dir: Path) -> None:
    wanted = request(str(out_dir / "nowhere"), fallback_dir=STAND_IN_DIR)
    assert fetch(wanted, out_dir) == "gpt2-mini"
    originals = {file: (STAND_IN_DIR / file).read_bytes() for file in OPENAI_FILES}
    assert_holds(out_dir, originals, "gpt2-mini")


@pytest.mark.parametrize(
    ("size", "n_bytes"),  # 4 a weight; the counts are those of the models that OpenAI published
    [
        ("124M", 497_759_232),
        ("355M", 4 * 354_823_168),
        ("774M", 4 * 774_030_080),
        ("1558M", 4 * 1_557_611_200),
    ],
)
@pytest.mark.parametrize("verify", [True, False])
def test_the_data_file_of_every_size_is_pinned_by_its_bytes(
    size: str, n_bytes: int, verify: bool
) -> None:
    assert request(size=size, verify=verify).pin(DATA_FILE).size == n_bytes
    assert SIZES[size].n_vocab == 50257
    assert SIZES[size].n_ctx == 1024


@NEEDS_SHARED
def test_openais_files_meet_their_pins() -> None:
    for file in SMALL_FILES:
        pin = request().pin(file)
        assert pin.sha256 == sha256_of(SHARED_DIR / file)
        assert pin.problem(SHARED_DIR / file) is None
    for file in ("encoder.json", "vocab.bpe"):  # which all sizes share
        assert request(size="1558M").pin(file).sha256 == sha256_of(SHARED_DIR / file)


@NEEDS_SHARED
def test_openais_data_file_that_broke_off_is_refused_by_its_size(
    tmp_path: Path, out_dir: Path
) -> None:
    source_dir = tmp_path / "source"
    source_dir.mkdir()
    for file in SMALL_FILES:
        shutil.copyfile(SHARED_DIR / file, source_dir / file)
    shutil.copyfile(SHARED_DIR / f"{DATA_FILE}.truncated", source_dir / DATA_FILE)
    line = failure(request(str(source_dir)), out_dir)
    assert f"{DATA_FILE}: not the expected file: 3,145,728 bytes instead of 497,759,232" in line
    assert not out_dir.exists()

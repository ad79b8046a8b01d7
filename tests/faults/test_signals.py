"""Signals at any moment of `dvc repro`, and two of it at once, cost no result."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from clone import WORDS, Clone
from conftest import ROOT
from http_server import serving

from spam_gpt2.common.files import sha256_of

pytestmark = pytest.mark.skipif(os.name == "nt", reason="no signals")

PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
RAW = "data/raw/SMSSpamCollection"
OUTS = ("data", "metrics", "plots", "models", "reports")
NO_OUTS = (
    "timings.tsv",
    "finetune_checkpoint",
    "checkpoint.partial",
    "/checkpoint/",
    ".verified",
    ".tmp",
    ".gitignore",
)
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
HEAL = (sys.executable, "-m", "spam_gpt2.common.repair")


@dataclass
class Trial:
    """A project whose stages have run, how long each took, and the bytes of what they made."""

    clone: Clone
    stages: list[str]
    seconds: dict[str, float]
    digests: dict[str, str]


def messages() -> bytes:
    """A made-up collection in the form of the real one."""
    draw = random.Random(5)
    lines = [
        f"{label}\t{' '.join(draw.choices(WORDS[label], k=draw.randint(3, 12)))} {i}"
        for label, count in (("ham", 200), ("spam", 100))
        for i in range(count)
    ]
    return "\n".join([*lines, ""]).encode()


def made(clone: Clone) -> dict[str, str]:
    """Digests of all that stages make."""
    found = clone.digests(*OUTS)
    return {name: digest for name, digest in found.items() if not any(n in name for n in NO_OUTS)}


def start(clone: Clone, stages: list[str]) -> Trial:
    """Run the stages, one after the other, the second time for the time that it takes."""
    clone.repro(*stages)
    clone.run("git", "add", "--all")
    clone.run("git", "commit", "-qm", "results")
    digests, seconds = made(clone), {}
    for stage in stages:
        began = time.monotonic()
        clone.run("dvc", "repro", "--force", "--single-item", stage)
        seconds[stage] = time.monotonic() - began
    assert made(clone) == digests
    return Trial(clone, stages, seconds, digests)


def interrupt(clone: Clone, stage: str, number: int, after: float, *, all_of_it: bool) -> int:
    """Force a stage and send a signal, to `dvc` alone or to its stage too; its exit code.

    Nothing of it runs on.
    """
    process = subprocess.Popen(
        ["dvc", "repro", "--force", "--single-item", stage],
        cwd=clone.folder, env=clone.environment, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    time.sleep(after)
    with suppress(ProcessLookupError):  # it may be done
        (os.killpg if all_of_it else os.kill)(process.pid, number)
    code = process.wait(timeout=60)
    until = time.monotonic() + 10
    while time.monotonic() < until:
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return code
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    pytest.fail(f"{stage} runs on after {signal.Signals(number).name} to dvc")


def forget(clone: Clone, *stages: str) -> None:
    """Let DVC not know what these have made: only they can make it again."""
    shutil.rmtree(clone.folder / ".dvc/cache/runs", ignore_errors=True)
    lock_path = clone.folder / "dvc.lock"
    lock = yaml.safe_load(lock_path.read_text(encoding="utf-8"))
    lock["stages"] = {k: v for k, v in lock["stages"].items() if k not in stages}
    lock_path.write_text(yaml.safe_dump(lock, sort_keys=False), encoding="utf-8")


def check_signals(trial: Trial, count: int, seed: int) -> dict[str, int]:
    """Each signal in turn, at stages in turn; what `dvc repro` then makes are the same bytes.

    DVC is made to forget the stage first, so that nothing but the stage itself brings them back.

    Returns: how many signals ended `dvc`, and how many left a lock file to heal.
    """
    draw, counts = random.Random(seed), {"ended": 0, "healed": 0}
    clone = trial.clone
    for i in range(count):
        stage, number = trial.stages[i % len(trial.stages)], SIGNALS[i % 3]
        all_of_it = number == signal.SIGINT or draw.random() < 0.5  # Ctrl-C reaches all
        after = draw.uniform(0, trial.seconds[stage])
        forget(clone, stage)
        code = interrupt(clone, stage, number, after, all_of_it=all_of_it)
        healed = clone.run(*HEAL)
        said = clone.run("dvc", "repro", *trial.stages, check=False)
        case = f"{stage}, {number!r} after {after:.2f} s, all of it: {all_of_it}: {healed}{said}"
        assert "ERROR" not in said, case
        assert made(clone) == trial.digests, case
        counts["ended"] += code != 0
        counts["healed"] += bool(healed)
    return counts


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint_dir: Path) -> Trial:
    """A project of which the first stages have run."""
    clone = Clone(tmp_path_factory.mktemp("small"), tiny_checkpoint_dir)
    (clone.folder / "messages.tsv").write_bytes(messages())
    clone.set(prepare__path="messages.tsv")
    return start(clone, ["prepare"])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint_dir: Path) -> Iterator[Trial]:
    """A project of which all stages of the first pipeline have run; a server has the messages."""
    folder = tmp_path_factory.mktemp("whole")
    clone = Clone(folder, tiny_checkpoint_dir)
    (folder / "served").write_bytes(messages())
    sources_path = folder / "src/spam_gpt2/data/sms_sources.py"
    code = sources_path.read_text()
    pin = code.split('SHA256 = "')[1][:64]
    sources_path.write_text(code.replace(pin, sha256_of(folder / "served")))
    with serving() as website:
        clone.set(
            download_data__sources=[website.add("/sms", messages())],
            prepare__path=RAW,
            fetch_gpt2__sources=[str(folder / "no-such-folder")],
            finetune__learning_rate=0.01,
            finetune__epochs=20,
            finetune__checkpoint_every=5,
            evaluate__resamples=100,
        )
        yield start(clone, list(PIPELINE))


def test_the_same_bytes_after_each_signal(small: Trial) -> None:
    check_signals(small, 3, seed=1)


@pytest.mark.full
def test_the_same_bytes_after_60_signals_at_all_stages(whole: Trial) -> None:
    counts = check_signals(whole, 60, seed=20)
    print(counts)
    assert counts["ended"] >= 40
    assert not (whole.clone.folder / "models/finetune_checkpoint").exists()


def cut_off_lock(clone: Clone, path: Path, number: int) -> bool:
    """Send a signal the moment that DVC has begun to write a file anew; whether it was in time."""
    (clone.folder / "messages.tsv").write_bytes(messages() + b"ham\tone more\n")
    before = path.stat().st_size
    process = subprocess.Popen(
        ["dvc", "repro", "prepare"], cwd=clone.folder, env=clone.environment,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    while process.poll() is None and path.stat().st_size >= before:
        time.sleep(0.0005)
    with suppress(ProcessLookupError):
        process.send_signal(number)
    process.wait()
    return path.stat().st_size < before


def test_a_kill_while_dvc_writes_its_lock_file_is_healed(small: Trial) -> None:
    """As DVC itself writes it: half a file, at which every further call fails."""
    clone, healed = small.clone, ""
    clone.run("git", "checkout", "-q", "dvc.lock")
    for _ in range(5):  # the moment is a tenth of a second
        if cut_off_lock(clone, clone.folder / "dvc.lock", signal.SIGKILL):
            assert "validation failed" in clone.run("dvc", "status", check=False)
            healed = clone.run(*HEAL)
            break
    (clone.folder / "messages.tsv").write_bytes(messages())
    assert "dvc.lock was cut off" in healed
    clone.repro("prepare")
    assert made(clone) == small.digests


def test_dvc_itself_fails_at_a_list_of_locks_that_was_cut_off(small: Trial) -> None:
    (small.clone.folder / ".dvc/tmp/rwlock").write_text('{"write": {')
    assert "rwlock" in small.clone.run("dvc", "repro", "prepare", check=False)
    assert "rwlock was cut off" in small.clone.run(*HEAL)
    assert small.clone.repro("prepare") == []


@pytest.mark.full
def test_a_killed_training_goes_on_to_the_same_bytes(whole: Trial) -> None:
    clone = whole.clone
    state_path = clone.folder / "models/finetune_checkpoint/state.json"
    for number in SIGNALS:
        forget(clone, "finetune")
        process = subprocess.Popen(
            ["dvc", "repro", "--force", "--single-item", "finetune"],
            cwd=clone.folder, env=clone.environment, start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        while process.poll() is None and not state_path.exists():
            time.sleep(0.001)
        os.killpg(process.pid, number)
        process.wait()
        clone.run(*HEAL)
        assert "finetune continues after step" in clone.run("dvc", "repro", *whole.stages)
        assert made(clone) == whole.digests


BUSY = ("Unable to acquire lock", "is busy")


def both(clone: Clone, *commands: list[str]) -> list[tuple[int, str]]:
    """Start commands at once; exit code and output of each."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    started = [
        subprocess.Popen(command, cwd=clone.folder, env=clone.environment, **pipes)
        for command in commands
    ]
    said = [process.communicate(timeout=300)[0] for process in started]
    return [(p.returncode, text) for p, text in zip(started, said, strict=True)]


def check_two_at_once(trial: Trial, *stages: str) -> None:
    """One of two `dvc repro` does the work; the other does it, too, or says who is at it."""
    clone = trial.clone
    forget(clone, "prepare", "finetune")
    for path in trial.digests:
        if path.startswith(("data/prepared", "models/classifier")):
            (clone.folder / path).unlink()
    ends = both(clone, *[["dvc", "repro", *stages]] * 2)
    assert min(code for code, _ in ends) == 0, ends
    for code, said in ends:
        assert code == 0 or any(busy in said for busy in BUSY), said
    assert clone.repro(*stages) == []
    assert made(clone) == trial.digests


def test_two_repro_at_once_end_in_the_same_bytes(small: Trial) -> None:
    check_two_at_once(small, "prepare")


@pytest.mark.full
def test_two_repro_of_the_whole_pipeline_at_once(whole: Trial) -> None:
    for _ in range(3):
        check_two_at_once(whole, *whole.stages)


def check_two_experiments(trial: Trial, target: str, key: str, metric: str) -> None:
    """Both are kept, each with its own parameter and result."""
    clone = trial.clone
    clone.run("git", "add", "--all")
    clone.run("git", "commit", "-qm", "results", "--allow-empty")
    values = {"first": 1, "second": 2}
    line = ["dvc", "--wait-for-lock", "exp", "run", "--temp", target]
    commands = [[*line, "-n", name, "-S", f"{key}={value}"] for name, value in values.items()]
    ends = both(clone, *commands)
    assert [code for code, _ in ends] == [0, 0], ends
    references = clone.run("git", "for-each-ref", "--format=%(refname)", "refs/exps").split()
    found = {name.rpartition("/")[2]: name for name in references}
    results = set()
    for name, value in values.items():
        params = yaml.safe_load(clone.run("git", "show", f"{found[name]}:params.yaml"))
        section, _, field = key.partition(".")
        assert params[section][field] == value
        results.add(clone.run("git", "show", f"{found[name]}:{metric}"))
    assert len(results) == 2
    assert made(clone) == trial.digests


def test_two_experiments_at_once_are_both_kept(small: Trial) -> None:
    clone = small.clone
    clone.run("git", "add", "--all")
    check_two_experiments(small, "prepare", "prepare.seed", "dvc.lock")


@pytest.mark.full
def test_two_experiments_of_the_whole_pipeline_at_once(whole: Trial) -> None:
    check_two_experiments(whole, "track", "finetune.epochs", "metrics/training.json")

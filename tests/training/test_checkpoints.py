"""An interrupted training goes on to the same bytes, and never under other circumstances."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml
from conftest import ROOT, TINY
from toys import settings, toy_messages

from spam_gpt2.classifier.trainable import unfreeze
from spam_gpt2.common.params import load_params
from spam_gpt2.features.features import extract_features
from spam_gpt2.gpt2.compute import Compute
from spam_gpt2.gpt2.head import GPT2Classifier, trained_tensors
from spam_gpt2.gpt2.weights import random_gpt2
from spam_gpt2.training import checkpoints
from spam_gpt2.training.checkpoints import Checkpoints, checkpoints_of, fingerprint
from spam_gpt2.training.loop import finetune
from spam_gpt2.training.state import Curves, TrainingState


class Interrupting(Checkpoints):
    """Ctrl-C just after a checkpoint at a step, of which each makes one."""

    def __init__(self, folder: Path, at: int, every: int = 1) -> None:
        super().__init__(folder, "this", every, share=1e9)
        self.at = at
        self.steps: list[int] = []

    def save(self, tensors: dict, facts: dict) -> None:
        super().save(tensors, facts)
        self.steps.append(facts["step"])
        if facts["step"] >= self.at:
            raise KeyboardInterrupt


def run(
    made: Checkpoints | None, on_row: Callable | None = None, **changes: object
) -> tuple[dict, Curves]:
    setting = settings(epochs=3, batch_size=2, log_every=4, **changes)
    torch.manual_seed(setting.seed)
    classifier = GPT2Classifier(random_gpt2(TINY, 1), 2, "last_token")
    unfreeze(classifier, setting.trainable, setting.lora_rank, setting.lora_alpha)
    cut = 2 if setting.trainable == "last_block" and setting.reuse_frozen else 0
    splits = (extract_features(classifier, *toy_messages(n, n), cut, 50) for n in (10, 6))
    curves = finetune(classifier, *splits, setting, made, on_row)
    return {name: t.detach() for name, t in trained_tensors(classifier).items()}, curves


@pytest.mark.parametrize("trainable", ["last_block", "all", "lora"])
@pytest.mark.parametrize("recipe", ["own", "book"])
@pytest.mark.parametrize("reuse_frozen", [True, False])
@pytest.mark.parametrize(("accumulation", "keep"), [(1, "last"), (2, "best")])
def test_it_goes_on_to_the_same_bytes(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    trainable: str,
    recipe: str,
    reuse_frozen: bool,
    accumulation: int,
    keep: str,
) -> None:
    changes = {"trainable": trainable, "recipe": recipe, "reuse_frozen": reuse_frozen}
    changes |= {"accumulation_steps": accumulation, "keep": keep}
    tensors, curves = run(None, **changes)
    folder = tmp_path / "checkpoint"
    for at in (2, 5, 7, 12):  # 5 is an epoch's end
        with pytest.raises(KeyboardInterrupt):
            run(Interrupting(folder, at), **changes)
    capsys.readouterr()
    again, curves_again = run(Checkpoints(folder, "this", 100), **changes)
    assert "finetune continues after step 12" in capsys.readouterr().err
    assert curves_again == curves
    assert all(torch.equal(again[name], tensors[name]) for name in tensors)


def test_who_watches_sees_all_rows_also_those_before_an_interruption(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(Interrupting(tmp_path, 7))
    rows: list[tuple[str, dict]] = []
    _, curves = run(Checkpoints(tmp_path, "this", 100), lambda *row: rows.append(row))
    assert [row for column, row in rows if column == "step"] == curves.steps
    assert [row for column, row in rows if column == "epoch"] == curves.epochs
    assert len(rows) == len(curves.steps) + len(curves.epochs) > 6


@pytest.mark.parametrize(
    ("every", "accumulation", "steps"),
    [
        (100, 1, [5, 10, 15]),  # each epoch's end
        (3, 1, [3, 5, 8, 10, 13, 15]),  # counted from the last one
        (2, 3, [3, 5, 8, 10, 13, 15]),  # no gradients wait: an epoch moves at 3 and 5
        (1, 1, list(range(1, 16))),
    ],
)
def test_they_are_made_every_so_many_steps_and_at_each_epochs_end(
    tmp_path: Path, every: int, accumulation: int, steps: list[int]
) -> None:
    """10 messages are 5 steps an epoch."""
    made = Interrupting(tmp_path, 16, every)
    run(made, accumulation_steps=accumulation)
    assert made.steps == steps
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "state.json", "step-15.safetensors",
    ]  # fmt: skip
    made.remove()
    assert not tmp_path.exists()


@pytest.mark.parametrize("seconds_to_write", [0.0, 1.0])
def test_they_take_no_more_than_their_share_of_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds_to_write: float
) -> None:
    """On a clock by which a step takes 10 s and a checkpoint nothing, or 1 s."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    class Timed(Interrupting):
        def offer(self, state: TrainingState) -> None:
            now[0] += 10
            super().offer(state)

        def save(self, tensors: dict, facts: dict) -> None:
            now[0] += seconds_to_write
            super().save(tensors, facts)

    made = Timed(tmp_path, 100)
    made.share = 0.04  # so 25 s for one that takes 1
    run(made)
    assert made.steps == (list(range(1, 16)) if not seconds_to_write else [1, 4, 7, 10, 13])


def test_a_short_training_of_a_large_model_makes_none(tmp_path: Path) -> None:
    """10 s of one whose checkpoint has 1.5 GB, of which nobody knows yet how long it takes."""
    small = SimpleNamespace(done=0, nbytes=1_000, curves=Curves())
    large = SimpleNamespace(done=0, nbytes=1_500_000_000, curves=Curves())
    made = Checkpoints(tmp_path, "this", every=1)
    made.time -= 10
    assert made.is_due(small)
    assert not made.is_due(large)


def test_one_that_cannot_be_written_costs_no_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tensors, _ = run(None)
    (tmp_path / "file").write_text("in the way")
    again, _ = run(Interrupting(tmp_path / "file", 2))
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("WARNING: no checkpoints of this training: ")
    assert all(torch.equal(again[name], tensors[name]) for name in tensors)


@pytest.mark.parametrize(
    "how",
    ["other fingerprint", "flipped byte", "another number", "cut off", "no tensors", "a list"],
)
def test_another_or_a_damaged_checkpoint_is_told_and_not_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], how: str
) -> None:
    tensors, curves = run(None)
    with pytest.raises(KeyboardInterrupt):
        run(Interrupting(tmp_path, 7))
    assert Checkpoints(tmp_path, "this", 1).load() is not None
    (path,) = tmp_path.glob("*.safetensors")
    state = (tmp_path / "state.json").read_text()
    if how == "flipped byte":
        data = bytearray(path.read_bytes())
        data[-5] ^= 1
        path.write_bytes(data)
    elif how == "cut off":
        (tmp_path / "state.json").write_text('{"fingerprint": "this"')
    elif how == "another number":
        assert '"train_loss": 0.' in state
        (tmp_path / "state.json").write_text(state.replace('"train_loss": 0.', '"train_loss": 1.'))
    elif how == "a list":
        (tmp_path / "state.json").write_text("[]")
    elif how == "no tensors":
        path.unlink()
    fingerprint = "that" if how == "other fingerprint" else "this"
    again, curves_again = run(Checkpoints(tmp_path, fingerprint, 100))
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"finetune starts anew: {tmp_path} is damaged, or of other parameters")
    assert curves_again == curves
    assert all(torch.equal(again[name], tensors[name]) for name in tensors)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files of all that a training reads, and a copy of the code."""
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    package_dir = tmp_path / "src/spam_gpt2"
    inputs = [tmp_path / path for path in checkpoints.INPUTS if not path.is_absolute()]
    inputs += [package_dir / p.name for p in checkpoints.INPUTS if p.is_absolute()]
    for path in inputs:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_dir():
            path.write_text("something")
    monkeypatch.setattr(checkpoints, "INPUTS", inputs)
    return tmp_path


PARAMS = load_params(ROOT / "params.yaml")
OTHERS = {
    "finetune": {
        "trainable": "all", "lora_rank": 3, "lora_alpha": 3.0, "recipe": "book",
        "reuse_frozen": False, "learning_rate": 1.0, "weight_decay": 1.0, "batch_size": 9,
        "accumulation_steps": 2, "ignore_index": 50256, "epochs": 6, "keep": "best", "log_every": 1,
        "checkpoint_every": 1, "seed": 1,
    },
    "classifier": {
        "position": "first_token", "causal": False, "init": "random", "init_seed": 1,
    },
}  # fmt: skip
CPU = Compute(torch.device("cpu"), "float32", 2)


@pytest.mark.parametrize(
    ("section", "key"), [(section, key) for section, keys in OTHERS.items() for key in keys]
)
def test_no_training_goes_on_under_another_parameter(project: Path, section: str, key: str) -> None:
    values = getattr(PARAMS, section).model_copy(update={key: OTHERS[section][key]})
    changed = PARAMS.model_copy(update={section: values})
    before = checkpoints_of(PARAMS, CPU).fingerprint
    assert before == checkpoints_of(PARAMS.model_copy(deep=True), CPU).fingerprint
    assert before != checkpoints_of(changed, CPU).fingerprint


def test_every_parameter_of_the_training_is_tried() -> None:
    assert OTHERS["finetune"].keys() == type(PARAMS.finetune).model_fields.keys()


@pytest.mark.parametrize(
    "other",
    [
        Compute(torch.device("meta"), "float32", 2),
        Compute(torch.device("cpu"), "bfloat16", 2),
        Compute(torch.device("cpu"), "float32", 1),
        Compute(torch.device("cpu"), "float32", 2, 2),
    ],
)
def test_nor_on_another_device_or_by_another_number_of_threads_or_processes(
    project: Path, other: Compute
) -> None:
    assert checkpoints_of(PARAMS, CPU).fingerprint != checkpoints_of(PARAMS, other).fingerprint


def dependencies() -> list[str]:
    """Files and folders that the stage depends on, by DVC's pipeline."""
    return yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]["finetune"]["deps"]


# What draws pictures has no part in the training.
@pytest.mark.parametrize("path", [p for p in dependencies() if p != "src/spam_gpt2/figures"])
def test_nor_on_other_data_or_by_other_code(project: Path, path: str) -> None:
    """`models/gpt2` by its config, which holds the digest of the weights."""
    file = project / path / ("config.json" if path == "models/gpt2" else "")
    if file.is_dir():
        file = next(file.glob("[a-z]*.py"))
    before = checkpoints_of(PARAMS, CPU).fingerprint
    file.write_text(file.read_text() + "# other")
    assert before != checkpoints_of(PARAMS, CPU).fingerprint


def test_nor_by_a_module_that_has_moved(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / "code" / folder).mkdir(parents=True)
    (tmp_path / "code/a/x.py").write_text("1")
    before = fingerprint({}, [tmp_path / "code"])
    (tmp_path / "code/a/x.py").rename(tmp_path / "code/b/x.py")
    assert before != fingerprint({}, [tmp_path / "code"])

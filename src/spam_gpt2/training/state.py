"""A training between two steps: all that its rest depends on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from spam_gpt2.training.best import Best
from spam_gpt2.training.optimizer import MOMENTS, AdamW
from spam_gpt2.training.recipe import Point, Recipe


@dataclass
class Curves:
    """What training recorded, in rows that go to CSV as they are."""

    steps: list[Point] = field(default_factory=list)
    epochs: list[Point] = field(default_factory=list)
    total_steps: int = 0
    kept: dict[str, float] = field(default_factory=dict)  # of the best epoch, where that is kept
    on_row: Callable[[str, Point], None] | None = field(default=None, compare=False)

    def add(self, curve: list[Point], row: Point) -> None:
        """Add a row to `steps` or `epochs`, and show it."""
        curve.append(row)
        self.show([row])

    def show(self, rows: list[Point]) -> None:
        """Tell who listens of rows, each with the column that it goes by."""
        for row in rows if self.on_row else []:
            self.on_row("epoch" if "epoch" in row else "step", row)


@dataclass
class TrainingState:
    """Where a training is, and what moves with it."""

    tensors: dict[str, Tensor]  # those that are trained
    optimizer: AdamW
    recipe: Recipe
    best: Best | None = None  # where the best epoch is kept
    curves: Curves = field(default_factory=Curves)
    epoch: int = 1
    batches: list[Tensor] = field(default_factory=list)  # of the epoch; none: still to draw
    done: int = 0  # of the epoch's batches

    @property
    def nbytes(self) -> int:
        """What a snapshot takes on disk, about: the tensors, AdamW's moments and the best epoch."""
        copies = 1 + len(MOMENTS) + (self.best is not None)
        return copies * sum(tensor.nbytes for tensor in self.tensors.values())

    def draw(self) -> list[Tensor]:
        """The batches of this epoch that are still to do."""
        self.batches = self.batches or self.recipe.batches()
        return self.batches[self.done :]

    def end_epoch(self) -> None:
        """Look at the accuracy and turn to the next epoch."""
        self.curves.add(self.curves.epochs, self.recipe.accuracy_point(self.epoch))
        self.epoch, self.batches, self.done = self.epoch + 1, [], 0

    def snapshot(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors by name, and what goes to JSON. Only where no gradients wait for a move."""
        groups = {
            "model": self.tensors,
            "optimizer": self.optimizer.state_tensors(),
            "recipe": self.recipe.state(),
            "draws": {"generator": torch.get_rng_state()},
        }
        best = self.best or Best()
        groups["best"] = best.tensors
        if self.batches:
            groups["draws"]["order"] = torch.cat(self.batches)
        flat = {
            f"{group}:{name}": t for group, named in groups.items() for name, t in named.items()
        }
        facts = {
            "step": self.curves.total_steps,
            "epoch": self.epoch,
            "done": self.done,
            "sizes": [len(batch) for batch in self.batches],
        }
        facts |= {"steps": self.curves.steps, "epochs": self.curves.epochs}
        return flat, facts | best.facts()

    def restore(self, flat: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Put back what `snapshot` gave."""
        groups: dict[str, dict[str, Tensor]] = {"recipe": {}, "optimizer": {}, "best": {}}
        for key, tensor in flat.items():
            group, _, name = key.partition(":")
            groups.setdefault(group, {})[name] = tensor
        with torch.no_grad():
            for name, tensor in self.tensors.items():
                tensor.copy_(groups["model"][name])
        self.optimizer.load_state(groups["optimizer"])
        self.recipe.load_state(groups["recipe"], facts["step"])
        if self.best:
            self.best.load(groups["best"], facts)
        torch.set_rng_state(groups["draws"]["generator"].clone())
        self.curves = replace(
            self.curves, steps=facts["steps"], epochs=facts["epochs"], total_steps=facts["step"]
        )
        self.curves.show([*facts["steps"], *facts["epochs"]])
        self.epoch, self.done = facts["epoch"], facts["done"]
        sizes = facts["sizes"]
        self.batches = list(groups["draws"]["order"].split(sizes)) if sizes else []

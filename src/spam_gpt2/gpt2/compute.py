"""Where the model computes and how: device, precision, threads and the fastest kernels of either.

The rest of the code does not ask which device it is on: it makes its tensors where the model is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from spam_gpt2.common.console import warn
from spam_gpt2.common.files import InputError
from spam_gpt2.gpt2.config import GPT2Config
from spam_gpt2.gpt2.head import GPT2Classifier
from spam_gpt2.gpt2.model import Linear
from spam_gpt2.gpt2.processes import join, processes
from spam_gpt2.gpt2.weight_packing import pack, packing_works

if TYPE_CHECKING:
    from spam_gpt2.common.params import ComputeSettings

WHERE = "params.yaml: compute"
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
# Of a float32 product: a kernel that rounds its inputs to bfloat16 is beyond it a thousand times.
FLOAT32_ERROR = 1e-5
# oneDNN makes a kernel for every shape that it meets, in a millisecond and 100 kB or more: below
# this width of a model its products are too small to make up for it, or for waiting threads.
WIDE = 512


@dataclass(frozen=True)
class Compute:
    """What was chosen for this process."""

    device: torch.device
    precision: str  # of the products with weights; norms, softmax, head and updates are float32
    threads: int  # of each process
    processes: int = 1

    @classmethod
    def start(cls, settings: ComputeSettings, trained: GPT2Config | None = None) -> Compute:
        """Choose device, threads and kernels for this process, by `compute` of params.yaml.

        Of several processes each takes a GPU, or its share of the threads. The steps of a narrow
        model are too small to be shared out: unless `threads` is set, training takes one, which is
        as fast, and several times faster where other programs run.

        Args:
            trained: the size of the model that is to be trained, if one is.

        Raises: InputError when the device is not there.
        """
        device = join(find_device(settings.device))
        is_narrow = trained is not None and trained.n_embd < WIDE
        best = 1 if is_narrow else max(1, torch.get_num_threads() // processes())
        torch.set_num_threads(settings.threads or best)
        no_bfloat16 = device.type == "cpu" and not has_bfloat16()
        if settings.precision == "bfloat16" and no_bfloat16:
            warn(
                f"{WHERE}.precision: this processor has no instructions for "
                "bfloat16, which is many times slower on it than float32"
            )
        return cls(device, settings.precision, torch.get_num_threads(), processes())

    def describe(self) -> dict[str, str]:
        """For metrics and cards."""
        return {"device": self.device.type, "precision": self.precision}

    @property
    def dtype(self) -> torch.dtype:
        """Of the products with weights, and of stored features."""
        return DTYPES[self.precision]

    def place(self, classifier: GPT2Classifier) -> None:
        """Put a model where it computes and set its products to the precision, in place.

        What is trained stays float32 and is rounded at each use; what is frozen is rounded once.
        """
        classifier.to(self.device)
        if self.dtype != torch.float32:
            for module in classifier.modules():
                if isinstance(module, Linear):
                    module.compute_in(self.dtype)
        elif self._is_worth_kernels(classifier):
            use_fast_products()

    def place_frozen(self, classifier: GPT2Classifier) -> None:
        """The same for a model that is not trained: its weights go into the kernels' own order."""
        self.place(classifier.requires_grad_(False))
        if self._is_worth_kernels(classifier) and packing_works(self.dtype):
            pack(classifier)

    def _is_worth_kernels(self, classifier: GPT2Classifier) -> bool:
        return self.device.type == "cpu" and classifier.gpt2.config.n_embd >= WIDE


def find_device(name: str) -> torch.device:
    """The device that `compute.device` names; `auto` is a GPU where there is one.

    Raises: InputError when it is not there.
    """
    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        name = next(device for device, is_there in there.items() if is_there)
    if not there[name]:
        have = ", ".join(device for device, is_there in there.items() if is_there)
        raise InputError(
            f"{WHERE}.device: torch finds no {name} on this machine; it has {have}, "
            "and auto takes the best"
        )
    return torch.device(name)


def has_bfloat16() -> bool:
    """Whether the processor has instructions for products of bfloat16."""
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def use_fast_products() -> None:
    """Let oneDNN compute float32 products where that keeps float32's error.

    torch's setting "medium" allows it to round to bfloat16. Processors with AMX do so; on all
    others it computes in float32, often faster than torch's own choice, MKL. Which of the two this
    is shows in a product: where it is not float32's, nothing changes.
    """
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    if product_error() > FLOAT32_ERROR:
        torch.set_float32_matmul_precision(before)


def product_error() -> float:
    """Largest error of a float32 product on the processor, as a share of its largest value."""
    generator = torch.Generator().manual_seed(1)
    x, y = (torch.randn(256, 256, generator=generator) for _ in range(2))
    exact = x.double() @ y.double()
    return float(((x @ y).double() - exact).abs().max() / exact.abs().max())

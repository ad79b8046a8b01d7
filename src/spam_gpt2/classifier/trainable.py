"""Which parameters a training changes, by the name that `finetune.trainable` gives them."""

from __future__ import annotations

from pathlib import Path

import torch

from spam_gpt2.classifier.lora import add_lora
from spam_gpt2.common.params import Classifier, Finetune, check_ignore_index, fitting_blocks
from spam_gpt2.gpt2.config import Origin
from spam_gpt2.gpt2.head import GPT2Classifier, set_trainable
from spam_gpt2.gpt2.weights import build_gpt2


def untrained_classifier(
    weights_dir: Path, n_classes: int, chosen: Classifier, settings: Finetune
) -> tuple[GPT2Classifier, Origin]:
    """A classifier as training begins: a new head, and all frozen that is not to be trained.

    Raises: InputError when the parameters do not go with the model or the classes.
    """
    check_ignore_index(settings.ignore_index, n_classes)
    gpt2, origin = build_gpt2(weights_dir, chosen.init, chosen.init_seed)
    torch.manual_seed(settings.seed)
    classifier = GPT2Classifier(gpt2, n_classes, chosen.position, chosen.causal)
    unfreeze(classifier, settings.trainable, settings.lora_rank, settings.lora_alpha)
    return classifier, origin


def unfreeze(classifier: GPT2Classifier, trainable: str, lora_rank: int, lora_alpha: float) -> None:
    """Freeze all but what `trainable` names, with adapters put in for `lora`.

    Raises: InputError when the model has too few blocks.
    """
    blocks = fitting_blocks(trainable, classifier.gpt2.config.n_layer)
    if trainable == "lora":
        add_lora(classifier, lora_rank, lora_alpha)
    else:
        set_trainable(classifier, trainable, blocks)

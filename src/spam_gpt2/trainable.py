"""Which parameters a training changes, by the name that `finetune.trainable` gives them."""

from __future__ import annotations

from spam_gpt2.classifier import GPT2Classifier, set_trainable
from spam_gpt2.lora import add_lora
from spam_gpt2.params import fitting_blocks


def unfreeze(classifier: GPT2Classifier, trainable: str, lora_rank: int, lora_alpha: float) -> None:
    """Freeze all but what `trainable` names, with adapters put in for `lora`.

    Raises: InputError when the model has too few blocks.
    """
    blocks = fitting_blocks(trainable, classifier.gpt2.config.n_layer)
    if trainable == "lora":
        add_lora(classifier, lora_rank, lora_alpha)
    else:
        set_trainable(classifier, trainable, blocks)

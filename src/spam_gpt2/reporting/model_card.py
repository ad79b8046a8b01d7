"""A model card in the form that model hubs read: Markdown below a head of YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from spam_gpt2.common.markdown import code, escape, table
from spam_gpt2.common.nested import class_keys
from spam_gpt2.common.secrets import without_secrets
from spam_gpt2.common.text import one_line
from spam_gpt2.reporting.summary import FIGURES, STAND_IN

COLLECTION = "https://archive.ics.uci.edu/dataset/228/sms+spam+collection"
# Of OpenAI's code and weights; the stand-in's text has licences of its own.
LICENCE = "mit"


def model_card(
    gpt2: dict[str, Any],
    baseline: dict[str, Any],
    holdout: dict[str, Any],
    data: dict[str, Any],
    training: dict[str, Any],
    params: dict[str, Any],
) -> str:
    """The card, from what the metrics files hold and all parameters."""
    sections = [
        _head(gpt2, params),
        f"# SMS spam classifier on {gpt2['weights']}\n\n{_what(gpt2, training, params)}",
        f"## Use\n\n{_use(gpt2['labels'])}",
        f"## Results\n\n{_results(gpt2, baseline, holdout, data, params)}",
        f"## Data\n\n{_data(data, gpt2['labels'], params)}",
        f"## Limits\n\n{_limits(gpt2['weights'], params['prepare']['balance'])}",
        f"## Licences\n\n{_licences(gpt2['weights'], params)}",
    ]
    return "\n\n".join(sections) + "\n"


def _head(gpt2: dict[str, Any], params: dict[str, Any]) -> str:
    """The head as the Hugging Face hub defines it, `model-index` included."""
    metrics = [
        {"type": name, "value": gpt2["test"][name], "name": f"test {name}"}
        for name in ("accuracy", "precision", "recall", "f1", "roc_auc")
    ]
    head = {
        "language": "en",
        "license": "other" if STAND_IN in gpt2["weights"] else LICENCE,
        "pipeline_tag": "text-classification",
        "tags": ["spam", "sms", "gpt2", "pytorch"],
        "metrics": ["accuracy", "precision", "recall", "f1", "roc_auc"],
        "model-index": [
            {
                "name": f"spam-gpt2 on {gpt2['weights']}",
                "results": [
                    {
                        "task": {"type": "text-classification"},
                        "dataset": {"name": _messages_name(params), "type": "sms"},
                        "metrics": metrics,
                    }
                ],
            }
        ],
    }
    if _is_collection(params):
        head["datasets"] = ["ucirvine/sms_spam"]
    if gpt2["weights"] == "gpt2-124M":
        head["base_model"] = "openai-community/gpt2"
    return f"---\n{yaml.safe_dump(head, sort_keys=False, allow_unicode=True)}---"


def _messages_name(params: dict[str, Any]) -> str:
    path = without_secrets(params["prepare"]["path"])
    messages = "SMS Spam Collection" if _is_collection(params) else one_line(Path(path).name)
    return f"{messages}, test split of seed {params['prepare']['seed']}"


def _what(gpt2: dict[str, Any], training: dict[str, Any], params: dict[str, Any]) -> str:
    finetune, classifier = params["finetune"], params["classifier"]
    text = (
        f"GPT-2 with a classification head, fine-tuned on text messages ({finetune['trainable']}, "
        f"{training['trainable_parameters']:,} parameters trained; {classifier['position']} "
        f"decides; learning rate {finetune['learning_rate']:g}, {finetune['epochs']} epochs, "
        f"batches of {finetune['batch_size']}, seed {finetune['seed']}; on {training['device']}, "
        f"{training['precision']}).\n\n"
        f"- weights: {gpt2['weights']}, SHA-256 `{gpt2['weights_sha256']}`\n"
        f"- classes: {', '.join(map(escape, gpt2['labels']))}"
    )
    if STAND_IN in gpt2["weights"]:
        text += (
            f"\n\n> **{STAND_IN} is not GPT-2.** It is a small stand-in that shows that the "
            "pipeline works where OpenAI's files cannot be fetched. Do not publish this as a GPT-2 "
            "model."
        )
    return text


def _use(labels: list[str]) -> str:
    return (
        "```console\n"
        '$ python -m spam_gpt2 "You have won a £2000 prize, call now"\n'
        "```\n\n"
        "Meant for sorting short English text messages into "
        f"{' and '.join(map(escape, labels))}, for teaching "
        "and for comparing ways of fine-tuning. Not meant to delete messages that nobody looks at, "
        "to judge people, or for e-mail and other languages, on which it was never tested."
    )


def _results(
    gpt2: dict[str, Any],
    baseline: dict[str, Any],
    holdout: dict[str, Any],
    data: dict[str, Any],
    params: dict[str, Any],
) -> str:
    share = params["evaluate"]["confidence"]
    rows = [
        [name, *(cell for side in (gpt2, baseline) for cell in _figure(side, name))]
        for name in FIGURES
    ]
    header = ["test", gpt2["weights"], f"{share:.0%} interval", "baseline", f"{share:.0%} interval"]
    text = (
        f"{data['splits']['test']['total']} test messages, {data['also_in_train']['test']} of "
        f"which stand in the training set, too. The baseline is {baseline['model']}.\n\n"
        f"{table(header, rows)}"
    )
    for label, rate in holdout.items():
        if isinstance(rate, dict):
            low, high = rate["interval"]
            text += (
                f"\n\nOf {rate['messages']:,} further {escape(label)} messages, "
                f"{rate['false_positive_rate']:.1%} are taken for another class "
                f"({low:.1%} to {high:.1%})."
            )
    return text


def _figure(side: dict[str, Any], name: str) -> list[str]:
    low, high = side["test_intervals"][name]
    return [f"{side['test'][name]:.3f}", f"{low:.3f} to {high:.3f}"]


def _data(data: dict[str, Any], labels: list[str], params: dict[str, Any]) -> str:
    keys = class_keys(labels, ["total"])
    rows = [
        [name, *(f"{counts[key]:,}" for key in keys), f"{counts['total']:,}"]
        for name, counts in data["splits"].items()
    ]
    source = code(without_secrets(params["prepare"]["path"]))
    if _is_collection(params):
        source = (
            f"[SMS Spam Collection]({COLLECTION}) (Almeida, Hidalgo, Yamakami 2011): English and "
            "Singaporean messages of the 2000s"
        )
    balanced = ", balanced by downsampling" * params["prepare"]["balance"]
    total = f"{data['messages']['total']:,} messages in all{balanced}"
    return f"{source}, {total}.\n\n{table(['split', *map(escape, labels), 'all'], rows)}"


def _is_collection(params: dict[str, Any]) -> bool:
    return params["prepare"]["path"] == "data/raw/SMSSpamCollection"


def _limits(weights: str, is_balanced: bool) -> str:
    classes = "as many messages of each class" if is_balanced else "each class as often as above"
    lines = [
        "Spam changes; what came up after these messages were collected is unknown to this model.",
        f"It was trained on {classes}: where one is rarer, look at the rate of false positives "
        "before you rely on its probabilities.",
        "Unusual spelling, such as look-alike letters or all capitals, changes its answers; "
        "`metrics/robustness.json` says by how much.",
        f"{weights} was trained on text from the web and has its biases.",
    ]
    if STAND_IN in weights:
        lines[-1] = f"{weights} is a stand-in and has none of GPT-2's knowledge."
    return "\n".join(f"- {line}" for line in lines)


def _licences(weights: str, params: dict[str, Any]) -> str:
    lines = [f"{weights}: OpenAI, modified MIT licence"]
    if STAND_IN in weights:
        text = "WikiText-2 (CC BY-SA 3.0) and Tatoeba (CC BY 2.0 FR)"
        lines = [f"{weights}: trained from nothing on {text}"]
    if _is_collection(params):
        lines.append("SMS Spam Collection: CC BY 4.0")
    return "\n".join(f"- {line}" for line in lines)

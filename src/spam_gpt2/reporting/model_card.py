"""A model card in the form that model hubs read: Markdown below a head of YAML."""

from __future__ import annotations

from typing import Any

import yaml

from spam_gpt2.common.markdown import code, escape, table
from spam_gpt2.common.nested import class_keys
from spam_gpt2.common.secrets import without_secrets
from spam_gpt2.reporting.decision import basis, lead
from spam_gpt2.reporting.numbers import decimals, interval, percent
from spam_gpt2.reporting.summary import FIGURES, STAND_IN
from spam_gpt2.reporting.words import Words, words

COLLECTION = "https://archive.ics.uci.edu/dataset/228/sms+spam+collection"
# Of OpenAI's code and weights; the stand-in's text has licences of its own.
LICENCE = "mit"


def model_card(
    gpt2: dict[str, Any],
    baseline: dict[str, Any],
    holdout: dict[str, Any],
    data: dict[str, Any],
    training: dict[str, Any],
    calibration: dict[str, Any],
    comparison: dict[str, Any],
    params: dict[str, Any],
) -> str:
    """The card, from what the metrics files hold and all parameters."""
    named = words(gpt2["labels"], params)
    sections = [
        _head(gpt2, params, named),
        f"# {escape(named.title)}, classified by {gpt2['weights']}",
        *_decision(calibration, comparison, data, params, named),
        f"## Model\n\n{_what(gpt2, training, params, named)}",
        f"## Use\n\n{_use(gpt2['labels'], named)}",
        f"## Results\n\n{_results(gpt2, baseline, holdout, data, params)}",
        f"## Data\n\n{_data(data, gpt2['labels'], params, named)}",
        f"## Limits\n\n{_limits(gpt2['weights'], params['prepare']['balance'], named)}",
        f"## Licences\n\n{_licences(gpt2['weights'], named)}",
    ]
    if STAND_IN in gpt2["weights"]:
        sections.insert(2, _stand_in())
    return "\n\n".join(sections) + "\n"


def markdown(template: str, **parts: str) -> str:
    """A template with its parts, which are no markup whatever they hold."""
    return template.format(**{name: escape(part) for name, part in parts.items()})


def _decision(
    calibration: dict[str, Any],
    comparison: dict[str, Any],
    data: dict[str, Any],
    params: dict[str, Any],
    named: Words,
) -> list[str]:
    """What becomes of 1,000 messages, what that rests on, and whether the baseline does as well."""
    sentences = lead(calibration, named, markdown)
    if len(sentences) > 1:
        sentences = ["Of 1,000 messages:", "\n".join(f"- {sentence}" for sentence in sentences)]
    rests_on = basis(calibration, data, params, markdown)
    return [*sentences, rests_on, escape(comparison["test"]["summary"])]


def _head(gpt2: dict[str, Any], params: dict[str, Any], named: Words) -> str:
    """The head as the Hugging Face hub defines it, `model-index` included."""
    metrics = [
        {"type": name, "value": gpt2["test"][name], "name": f"test {name}"}
        for name in ("accuracy", "precision", "recall", "f1", "roc_auc")
    ]
    of_weights = "other" if STAND_IN in gpt2["weights"] else LICENCE
    about = ["spam"] * (named.is_collection or named.is_filter) + ["sms"] * named.is_collection
    test_set = f"{named.source}, test split of seed {params['prepare']['seed']}"
    head = {
        **({"language": "en"} if named.is_collection else {}),
        "license": of_weights if named.is_collection else "unknown",
        "pipeline_tag": "text-classification",
        "tags": [*about, "gpt2", "pytorch"],
        "metrics": ["accuracy", "precision", "recall", "f1", "roc_auc"],
        "model-index": [
            {
                "name": f"spam-gpt2 on {gpt2['weights']}",
                "results": [
                    {
                        "task": {"type": "text-classification"},
                        "dataset": {
                            "name": test_set,
                            "type": "sms" if named.is_collection else "own",
                        },
                        "metrics": metrics,
                    }
                ],
            }
        ],
    }
    if named.is_collection:
        head["datasets"] = ["ucirvine/sms_spam"]
    if gpt2["weights"] == "gpt2-124M":
        head["base_model"] = "openai-community/gpt2"
    return f"---\n{yaml.safe_dump(head, sort_keys=False, allow_unicode=True)}---"


def _what(
    gpt2: dict[str, Any], training: dict[str, Any], params: dict[str, Any], named: Words
) -> str:
    finetune, classifier = params["finetune"], params["classifier"]
    return (
        f"GPT-2 with a classification head, fine-tuned on {escape(named.messages)} "
        f"({finetune['trainable']}, "
        f"{training['trainable_parameters']:,} parameters trained; {classifier['position']} "
        f"decides; learning rate {finetune['learning_rate']:g}, {finetune['epochs']} epochs, "
        f"batches of {finetune['batch_size']}, seed {finetune['seed']}; on {training['device']}, "
        f"{training['precision']}).\n\n"
        f"- weights: {gpt2['weights']}, SHA-256 `{gpt2['weights_sha256']}`\n"
        f"- classes: {', '.join(map(escape, gpt2['labels']))}"
    )


def _stand_in() -> str:
    return (
        f"> **{STAND_IN} is not GPT-2.** It is a small stand-in that shows that the pipeline works "
        "where OpenAI's files cannot be fetched. Do not publish this as a GPT-2 model."
    )


def _use(labels: list[str], named: Words) -> str:
    kind, never = "messages like these", "for messages of another kind or language"
    if named.is_collection:
        kind, never = "short English text messages", "for e-mail and other languages"
    return (
        f'```console\n$ python -m spam_gpt2 "{named.example}"\n```\n\n'
        f"Meant for sorting {kind} into {' and '.join(map(escape, labels))}, for teaching and for "
        "comparing ways of fine-tuning. Not meant to delete messages that nobody looks at, to "
        f"judge people, or {never}, on which it was never tested."
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
            text += (
                f"\n\nOf {rate['messages']:,} further {escape(label)} messages, "
                f"{percent(rate['false_positive_rate'], decimals(rate['interval']))} are taken for "
                f"another class ({interval(rate['interval'])}), where the more probable class "
                "decides, as in this table."
            )
    return text


def _figure(side: dict[str, Any], name: str) -> list[str]:
    value, bounds = side["test"][name], side["test_intervals"][name]
    if name == "loss":
        return [f"{value:.2f}", "{:.2f} to {:.2f}".format(*bounds)]
    return [percent(value, decimals(bounds)), interval(bounds)]


def _data(data: dict[str, Any], labels: list[str], params: dict[str, Any], named: Words) -> str:
    keys = class_keys(labels, ["total"])
    rows = [
        [name, *(f"{counts[key]:,}" for key in keys), f"{counts['total']:,}"]
        for name, counts in data["splits"].items()
    ]
    source = code(without_secrets(params["prepare"]["path"]))
    if named.is_collection:
        source = (
            f"[SMS Spam Collection]({COLLECTION}) (Almeida, Hidalgo, Yamakami 2011): English and "
            "Singaporean messages of the 2000s"
        )
    balanced = ", balanced by downsampling" * params["prepare"]["balance"]
    total = f"{data['messages']['total']:,} messages in all{balanced}"
    return f"{source}, {total}.\n\n{table(['split', *map(escape, labels), 'all'], rows)}"


def _limits(weights: str, is_balanced: bool, named: Words) -> str:
    classes = "as many messages of each class" if is_balanced else "each class as often as above"
    lines = [
        f"{'Spam changes' if named.is_filter else 'Messages change'}; what came up after these "
        "messages were collected is unknown to this model.",
        f"It was trained on {classes}: where one is rarer, look at the rate of false positives "
        "before you rely on its probabilities.",
        "Unusual spelling, such as look-alike letters or all capitals, changes its answers; "
        "`metrics/robustness.json` says by how much.",
        f"{weights} was trained on text from the web and has its biases.",
    ]
    if STAND_IN in weights:
        lines[-1] = f"{weights} is a stand-in and has none of GPT-2's knowledge."
    return "\n".join(f"- {line}" for line in lines)


def _licences(weights: str, named: Words) -> str:
    lines = [f"{weights}: OpenAI, modified MIT licence"]
    if STAND_IN in weights:
        text = "WikiText-2 (CC BY-SA 3.0) and Tatoeba (CC BY 2.0 FR)"
        lines = [f"{weights}: trained from nothing on {text}"]
    if named.is_collection:
        lines.append("SMS Spam Collection: CC BY 4.0")
    else:
        lines.append(
            f"{escape(named.source)}: not known here; state it before you share this model"
        )
    return "\n".join(f"- {line}" for line in lines)

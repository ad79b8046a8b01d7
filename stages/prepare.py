"""Read the messages, balance the classes and split them into train, validation and test."""

from pathlib import Path

from spam_gpt2.common.console import run_stage
from spam_gpt2.common.files import InputError, write_json
from spam_gpt2.common.params import load_params
from spam_gpt2.data.sms import check_labels, read_messages, write_split
from spam_gpt2.data.splits import describe, split_messages

PREPARED_DIR = Path("data/prepared")
METRICS_PATH = Path("metrics/data.json")


def main() -> None:
    params = load_params().prepare
    path = Path(params.path)
    messages = read_messages(path, params.quoting)
    labels = check_labels(messages, params.labels, path)
    choices = params.model_dump(exclude={"path", "labels", "quoting"})
    try:
        split = split_messages(messages, **choices)
    except ValueError as error:
        raise InputError(f"{path}: {error}") from None
    for name, frame in split.frames().items():
        write_split(PREPARED_DIR / f"{name}.csv", frame)
    write_json(PREPARED_DIR / "labels.json", labels)
    write_json(METRICS_PATH, describe(messages, split, labels))


if __name__ == "__main__":
    run_stage(main, __file__)

"""Read the messages, balance the classes and split them into train, validation and test."""

from functools import partial
from pathlib import Path

from spam_gpt2.common.console import run_stage, say, warn
from spam_gpt2.common.files import InputError, write_csv, write_json
from spam_gpt2.common.params import load_params
from spam_gpt2.data.campaigns import AUDITED, SEARCHED, audit, campaigns_table, near_twins
from spam_gpt2.data.feedback import corrections, told, with_feedback
from spam_gpt2.data.label_checks import check_labels
from spam_gpt2.data.messages import read_messages, write_split
from spam_gpt2.data.splits import describe, split_messages

import pandas as pd

PREPARED_DIR = Path("data/prepared")
CAMPAIGNS_PATH = Path("data/campaigns.csv")
METRICS_PATH = Path("metrics/data.json")


def main() -> None:
    params = load_params().prepare
    path = Path(params.path)
    form = {name: getattr(params, name) for name in ("quoting", "columns", "encoding", "delimiter")}
    messages = read_messages(path, **form)
    labels = check_labels(messages, params.labels, path)
    choices = params.model_dump(
        include={"duplicates", "balance", "stratify", "order", "train", "validation", "seed"}
    )
    searched = params.duplicates == "campaign" or len(messages) <= SEARCHED
    similarity = params.campaign_similarity if searched else 1.0
    find = partial(near_twins, least=min(AUDITED[0], similarity) if searched else 1.0)
    twins = find(messages["text"])
    campaigns = twins.at(similarity).campaigns()
    try:
        split = split_messages(messages, campaigns=campaigns, **choices)
    except ValueError as error:
        raise InputError(f"{path}: {error}") from None
    feedback = corrections(params.feedback, labels, int(messages["line"].max()) + 1)
    everything, counted = pd.concat([messages, feedback], ignore_index=True), {}
    if len(feedback):  # found again with them: so far, they could not move a message
        twins = find(everything["text"])
        near = twins.at(similarity)
        campaigns = near.campaigns()
        rule = near if params.duplicates == "campaign" else None
        split, counted = with_feedback(split, feedback, rule, everything["line"])
    for name, frame in split.frames().items():
        write_split(PREPARED_DIR / f"{name}.csv", frame)
    write_json(PREPARED_DIR / "labels.json", labels)
    positions = pd.Series(range(len(everything)), index=everything["line"])
    members = {name: positions[frame["line"]].to_numpy() for name, frame in split.frames().items()}
    described = describe(messages, split, labels)
    described["near_twins"] = audit(twins, members, similarity, AUDITED if searched else ())
    if counted:
        described["feedback"] = counted
        say(told(counted))
    write_csv(CAMPAIGNS_PATH, campaigns_table(everything, campaigns, members))
    write_json(METRICS_PATH, described)
    tell(described["texts_with_several_labels"], len(messages), len(split.holdout))
    if not searched:
        say("so many texts are not searched for near-twins, save by prepare.duplicates: campaign")


def tell(conflicting: int, total: int, left_over: int) -> None:
    """What the counts hold that should not be found out later."""
    if conflicting:
        warn(f"{conflicting} texts have several labels; each is in one split, by its first label")
    if 2 * left_over > total:
        say(
            f"balancing leaves over {left_over:,} of {total:,} messages, which are the hold-out; "
            "prepare.balance: false trains and tests on all"
        )


if __name__ == "__main__":
    run_stage(main, __file__)

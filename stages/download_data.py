"""The SMS Spam Collection, from the first source that serves it, bit for bit."""

from pathlib import Path

from spam_gpt2.common.console import run_stage, say
from spam_gpt2.common.params import load_params
from spam_gpt2.common.project import COLLECTION_PATH
from spam_gpt2.data.sms_sources import fetch_sms

RAW_PATH = Path(COLLECTION_PATH)


def main() -> None:
    source = fetch_sms(load_params().download_data.sources, RAW_PATH)
    say(f"SMS Spam Collection: {source or 'already there'}")


if __name__ == "__main__":
    run_stage(main, __file__)

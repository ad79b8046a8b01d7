"""GPT-2 from OpenAI, a mirror or Hugging Face, or the embedded stand-in when none answers."""

from pathlib import Path

from spam_gpt2.common.console import run_stage, say
from spam_gpt2.common.params import load_params
from spam_gpt2.gpt2.manifest import CHECKPOINT_DIR, write_manifest
from spam_gpt2.gpt2.sources import Request, fetch_gpt2


def main() -> None:
    params = load_params().fetch_gpt2
    fallback_dir = Path("models") / params.fallback if params.fallback else None
    request = Request(params.size, params.sources, fallback_dir, params.verify)
    say(f"weights: {fetch_gpt2(request, CHECKPOINT_DIR)}")
    write_manifest()


if __name__ == "__main__":
    run_stage(main, __file__)

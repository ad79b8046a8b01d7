"""Open the page: `python -m spam_gpt2 app`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from spam_gpt2.classifier.predict import CLASSIFIER_DIR, WEIGHTS_DIR
from spam_gpt2.common.console import one_line_errors, say
from spam_gpt2.common.web import HOST, check_port
from spam_gpt2.data.feedback import FEEDBACK_PATH

PORT = 5002
DESCRIPTION = """A page to classify messages on, see which words drove it, and correct what is
wrong. It needs no other host. Whoever reaches the port can use it, so it listens on this machine
alone unless --host says otherwise."""


def parser() -> argparse.ArgumentParser:
    """The command line, as --help shows it."""
    it = argparse.ArgumentParser(prog="python -m spam_gpt2 app", description=DESCRIPTION)
    it.add_argument("--port", type=int, default=PORT, help="of this machine (%(default)s)")
    it.add_argument("--host", default=HOST, help="address to listen at (%(default)s)")
    it.add_argument(
        "--name", action="append", default=[], metavar="NAME",
        help="a host name under which it is reached, with --host; may be given again",
    )  # fmt: skip
    it.add_argument(
        "--threshold", type=float, metavar="P",
        help="in place of the one that `make report` chose",
    )  # fmt: skip
    for name, default, what in (
        ("classifier", CLASSIFIER_DIR, "folder of the trained classifier"),
        ("weights", WEIGHTS_DIR, "folder of the converted GPT-2 weights"),
    ):
        it.add_argument(
            f"--{name}", type=Path, default=default, metavar="DIR", help=f"{what} (%(default)s)"
        )
    it.add_argument(
        "--feedback", type=Path, default=FEEDBACK_PATH, metavar="FILE",
        help="where corrections are kept (%(default)s)",
    )  # fmt: skip
    return it


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line and answer until a signal; errors of the input are one line."""
    args = parser().parse_args(arguments)
    if args.threshold is not None and not 0 <= args.threshold <= 1:
        parser().error("--threshold is a probability from 0 to 1")
    with one_line_errors():
        run(args)


def run(args: argparse.Namespace) -> None:
    """Load the classifier and serve the page. Raises: InputError."""
    check_port(args.port, args.host, f"make app PORT={PORT + 1}")
    import uvicorn

    from spam_gpt2.app.guard import guarded
    from spam_gpt2.app.service import load_service
    from spam_gpt2.app.web import create_app

    service = load_service(args.classifier, args.weights, args.feedback, args.threshold)
    app = guarded(create_app(service), args.host, tuple(args.name))
    shown = f"[{args.host}]" if ":" in args.host else args.host
    say(f"Open http://{shown}:{args.port}; stop with Ctrl-C")
    say("It does not reload: after another training, or when champion moves, start it again.")
    uvicorn.run(
        app, host=args.host, port=args.port, log_level="warning", server_header=False,
        timeout_graceful_shutdown=3,
    )  # fmt: skip


if __name__ == "__main__":
    main()

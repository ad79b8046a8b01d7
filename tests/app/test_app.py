"""The page in a real browser, with real clicks; and its command line."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from app_requests import make_service
from browser import CHROMIUM, Page, browser
from conftest import ROOT
from http_server import closed_port

from spam_gpt2.app.__main__ import parser
from spam_gpt2.classifier.decision import ChosenOn, SavedDecision, as_trained, save_decision
from spam_gpt2.common.files import sha256_of, write_csv
from spam_gpt2.data.feedback import read_feedback
from spam_gpt2.evaluation.predictions import predictions_table

HOSTILE = '<img src=x onerror="document.title=1"> <script>document.title=2</script> </textarea>'
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained classifier with predictions and a threshold."""
    import numpy as np
    import pandas as pd

    root = tmp_path_factory.mktemp("page")
    make_service(root)
    texts = [f"message number {i}" for i in range(20)]
    p = np.linspace(0.05, 0.95, 20)
    labels = ["spam" if i % 3 == 0 else "ham" for i in range(20)]
    messages = pd.DataFrame({"line": range(1, 21), "label": labels, "text": texts})
    table = predictions_table(messages, np.stack([1 - p, p], 1), ["ham", "spam"])
    write_csv(root / "data/predictions/gpt2/test.csv", table)
    write_csv(root / "data/predictions/holdout.csv", table[table["label"] == "ham"])
    saved = SavedDecision(
        **vars(as_trained(["ham", "spam"], 0.6)),
        card_sha256=sha256_of(root / "models/classifier/classifier.json"),
        chosen_on=ChosenOn("validation", [1, 1], "0" * 64, "a rule"),
    )
    save_decision(root / "models/decision", saved)
    return root


@pytest.fixture(scope="module")
def address(project: Path) -> Iterator[str]:
    """Where the page is served, by the real command."""
    found = closed_port()
    process = serve(project, found)
    try:
        for line in process.stderr:
            if line.startswith("It does not reload"):
                break
        wait_for(found)
        yield found
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(20)
        process.stderr.close()


def serve(project: Path, address: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "spam_gpt2", "app", "--port", address.rpartition(":")[2]]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    return subprocess.Popen(
        command, cwd=project, env=environment, stderr=subprocess.PIPE, text=True
    )


def wait_for(address: str) -> None:
    import requests
    from urllib3.util import Retry

    with requests.Session() as session:
        session.trust_env = False
        retry = Retry(connect=50, backoff_factor=0.1, backoff_max=0.5)
        session.mount("http://", requests.adapters.HTTPAdapter(max_retries=retry))
        assert session.get(f"{address}/health", timeout=10).json() == {"status": "ok"}


@pytest.fixture
def page(address: str) -> Iterator[Page]:
    with browser() as it:
        it.look("light", 1000)
        it.open(address)
        yield it
        assert it.problems == []
        assert {url for url in it.requested if not url.startswith((address, "about:"))} == set()


def classify(page: Page, *texts: str) -> None:
    page.type("#messages", "\n".join(texts))
    page.click("#classify")
    page.until(f"document.querySelectorAll('.result').length === {len(texts)}")


@needs_chromium
def test_messages_are_classified_and_their_tokens_coloured(page: Page) -> None:
    classify(page, "win a prize now", HOSTILE)
    page.until("document.querySelectorAll('.result:last-child .token').length > 5")
    assert page.text(".result:last-child .text") == HOSTILE
    assert page.value("document.querySelectorAll('.result img, .result script').length") == 0
    assert "spam" in page.value("document.title")  # nothing of the message ran
    colours = page.value(
        "[...document.querySelectorAll('.token')].map((it) => getComputedStyle(it).backgroundColor)"
    )
    assert len(set(colours)) > 3
    assert page.text("#summary").startswith("2 messages: ")


@needs_chromium
def test_the_slider_changes_counts_and_decisions(page: Page) -> None:
    def cells(split: str) -> list[str]:
        row = f"[...document.querySelectorAll('tr[data-split={split}] td')]"
        return page.value(f"{row}.slice(1).map((it) => it.textContent)")

    assert page.value("document.querySelector('#threshold').value") == "0.6"
    assert cells("test")[:2] == ["3 of 7 (42.9 %)", "5 of 13 (38.5 %)"]
    assert cells("holdout") == ["–", "5 of 13 (38.5 %)", "8 of 13 (61.5 %)"]
    classify(page, "win a prize now")
    page.click("#slider")  # its middle: 0.5
    page.until("Math.abs(document.querySelector('#threshold').value - 0.5) < 0.02")
    assert cells("test")[:2] == ["3 of 7 (42.9 %)", "7 of 13 (53.8 %)"]
    for value, label in (("0", "spam"), ("1", "ham")):
        page.type("#threshold", value)
        page.until(f"document.querySelector('.label').textContent === '{label}'")
    assert cells("test")[:2] == ["0 of 7 (0.0 %)", "0 of 13 (0.0 %)"]
    page.click("#reset")
    assert page.value("document.querySelector('#threshold').value") == "0.6"


@needs_chromium
def test_a_click_keeps_a_correction(page: Page, project: Path) -> None:
    classify(page, "=see you at seven")
    label = page.text(".label")
    page.click(".actions button:first-of-type")
    page.until("document.querySelector('.actions span').textContent.startsWith('Noted')")
    row = read_feedback(project / "data/feedback.csv").iloc[-1]
    assert row["text"] == "=see you at seven"
    assert {row["label"], label} == {"ham", "spam"}


@needs_chromium
def test_a_file_is_classified_and_a_bad_one_refused_in_words(page: Page, tmp_path: Path) -> None:
    path = tmp_path / "inbox.csv"
    path.write_text("text\n" + "".join(f"message {i}\n" for i in range(130)))
    page.choose_file("#file", path)
    page.until("document.querySelector('#summary').textContent.startsWith('130 messages')")
    assert page.value("document.querySelectorAll('.result').length") == 50
    page.click("#more")
    page.until("document.querySelectorAll('.result').length === 100")
    path.write_text("a,b\n1,2\n")
    page.choose_file("#file", path)
    page.until("document.querySelector('#status').className === 'error'")
    assert "name the column of the texts" in page.text("#status")
    page.problems.clear()  # Chromium notes a status of 400 as an error
    page.click("#classify")
    page.until("document.querySelector('#status').textContent.startsWith('Type or paste')")


DROP = """
(() => {
  const dropped = new DataTransfer();
  dropped.items.add(new File(["label,text\\nham,see you\\nspam,win a prize\\n"], "inbox.csv"));
  const how = { dataTransfer: dropped, bubbles: true, cancelable: true };
  const event = (name) => new DragEvent(name, how);
  document.querySelector("h1").dispatchEvent(event("dragover"));
  const shown = document.body.classList.contains("drop");
  document.querySelector("h1").dispatchEvent(event("drop"));
  return [shown, document.body.classList.contains("drop")];
})()
"""


@needs_chromium
def test_a_file_that_is_dropped_anywhere_is_classified(page: Page) -> None:
    assert page.value(DROP) == [True, False]  # that it may be dropped shows while it is held there
    page.until("document.querySelector('#summary').textContent.startsWith('2 messages')")
    assert page.text(".result:last-child .text") == "win a prize"


@needs_chromium
@pytest.mark.parametrize("width", [320, 1000])
def test_nothing_is_wider_than_the_window(page: Page, width: int) -> None:
    page.look("dark", width)
    classify(page, "a" * 300, "win a prize now")
    assert page.value("document.documentElement.scrollWidth") <= width
    background = page.value("getComputedStyle(document.body).backgroundColor")
    assert background == "rgb(20, 24, 29)"


def test_nothing_that_is_served_names_another_host() -> None:
    for path in (ROOT / "src/spam_gpt2/app").glob("page.*"):
        assert not re.search(r"""https?:|["'(]//""", path.read_text(encoding="utf-8")), path


def test_it_listens_on_this_machine_alone_unless_asked() -> None:
    assert parser().parse_args([]).host == "127.0.0.1"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--port", "99999"), "error: port 99999: "),
        (("--threshold", "2"), "--threshold is a probability from 0 to 1"),
        (("--host", "nowhere.invalid"), "error: --host nowhere.invalid: "),
        (("--classifier", "nowhere"), "error: nowhere/classifier.json: no such file"),
    ],
)
def test_a_wrong_option_is_one_line(
    project: Path, arguments: tuple[str, ...], expected: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "spam_gpt2", "app", "--port", "0", *arguments],
        cwd=project, env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode in (1, 2)
    assert (
        done.stderr.splitlines()[-1]
        .partition("error: ")[2]
        .startswith(expected.removeprefix("error: "))
    )
    assert "Traceback" not in done.stderr


def test_the_command_is_installed_under_its_name() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["scripts"] == {"spam-gpt2": "spam_gpt2.__main__:main"}

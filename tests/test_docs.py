"""Every command, file, parameter and link of the README and of docs/ is one that exists."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import ROOT
from documents import faults

README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]
INVENTED = ROOT / "docs/invented.md"  # never written: links start from its folder


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_names_exists(page: Path) -> None:
    assert faults(page.read_text(encoding="utf-8"), page) == []


def test_the_readme_is_read_in_ten_minutes() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 200


def console(command: str) -> str:
    return f"```console\n$ {command}\n```\n"


RIGHT = [
    console("make seeds NAME=default SEEDS=5  # a comment's own words"),
    console("dvc exp run --name a -S finetune.epochs=3 track && dvc exp apply a"),
    console("python -m spam_gpt2 --csv inbox.csv \\\n    --column body > out.csv"),
    "`classifier.position`, `fetch_gpt2.fallback: null`, `metrics/*.json`, `plots/gpt2/`",
    "```python\nfrom spam_gpt2.classifier.predict import Predictor\n```\n",
    "[limits](../README.md#what-it-cannot-do)",
    "```\nprepare ── finetune\n```\n",
    "```\nsrc/spam_gpt2/  all\n  gpt2/  GPT-2\n    model.py config.py  two files\n```\n",
]
WRONG = [
    (console("make repo"), "no target repo"),
    (console("mkae repro"), "no program mkae"),
    (console("make bench VOCABULRY=models/checkpoint"), "has no VOCABULRY"),
    (console("make experiment NAME=lroa"), "no experiment lroa"),
    (console("dvc rerpo"), "dvc does not take"),
    (console("dvc repro --froce prepare"), "dvc does not take"),
    (console("dvc repro prepar"), "no stage prepar"),
    (console("dvc exp run -S finetune.epoch=3"), "no finetune.epoch"),
    (console("dvc plots diff HEAD shrot"), "shrot: no such revision"),
    (console("dvc status && make rep"), "no target rep"),
    (console("python -m spam_gpt2.registry"), "no module spam_gpt2.registry"),
    (console("python -m spam_gpt2 --colum body"), "no option --colum"),
    (console("python -m spam_gpt2.reporting.summary --hold"), "no option --hold"),
    (console("python -m spam_gpt2.experiments lroa"), "no experiment lroa"),
    (console("python benchmarks/runs.py"), "no script benchmarks/runs.py"),
    (console("mlflow models predict --env-manger local"), "--env-manger"),
    (console('python -m spam_gpt2 "no end'), "No closing quotation"),
    ("Try `dvc repro --force fetch_gtp2`.", "no stage fetch_gtp2"),
    ("Try `mkae repro`.", "no program mkae"),
    ("It is `classifer.position`.", "no classifer.position"),
    ("It is `finetune.epoch: 3`.", "no finetune.epoch"),
    ("See `metrics/gtp2.json`.", "no file metrics/gtp2.json"),
    ("See `src/spam_gpt2/model.py`.", "no file src/spam_gpt2/model.py"),
    ("See `spam_gpt2.common.csv_injection.ungard`.", "no spam_gpt2.common.csv_injection.ungard"),
    ("[a](nowhere.md)", "nowhere.md: no such file"),
    ("[a](../README.md#nowhere)", "#nowhere: no such heading"),
    ("```python\nfrom spam_gpt2.predict import Predictor\n```\n", "no spam_gpt2.predict.Predictor"),
    ("```\nprepare ── fintune\n```\n", "no stage fintune"),
    ("```\nsrc/spam_gpt2/  all\n  gpt2/  GPT-2\n    modle.py  x\n```\n", "gpt2/modle.py"),
]


@pytest.mark.parametrize("text", RIGHT)
def test_what_exists_is_no_fault(text: str) -> None:
    assert faults(text, INVENTED) == []


@pytest.mark.parametrize(("text", "expected"), WRONG)
def test_a_slip_is_found(text: str, expected: str) -> None:
    [fault] = faults(text, INVENTED)
    assert expected in fault

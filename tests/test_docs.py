"""Every command, file, parameter and link of the README and of docs/ is one that exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
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


def test_how_it_works_names_every_stage_and_package() -> None:
    page = (ROOT / "docs/how-it-works.md").read_text(encoding="utf-8")
    drawn, tree = page.split("```")[1], page.split("```")[3]
    for name in ("dvc.yaml", "reports/dvc.yaml"):
        stages = yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))["stages"]
        assert [stage for stage in stages if not re.search(rf"\b{stage}\b", drawn)] == []
    packages = [path.parent.name for path in ROOT.glob("src/spam_gpt2/*/__init__.py")]
    assert [name for name in packages if f"  {name}/ " not in tree] == []


def console(command: str) -> str:
    return f"```console\n$ {command}\n```\n"


RIGHT = [
    console("make seeds NAME=default SEEDS=5  # a comment's own words"),
    console("dvc exp run --name a -S finetune.epochs=3 track && dvc exp apply a"),
    console("python -m spam_gpt2 --csv inbox.csv \\\n    --column body > out.csv"),
    "`classifier.position`, `fetch_gpt2.fallback: null`, `metrics/*.json`, `plots/gpt2/`",
    "```python\nfrom spam_gpt2.classifier.predict import Predictor\n```\n",
    "[limits](../README.md#what-it-cannot-do)",
    "`data/prepared/test.csv`, `plots/gpt2/roc.csv`, `finetune.epochs: 3`, `quoting: default`",
    console(
        'dvc exp run -S "prepare.columns={label: v1, text: [v2, v3]}" -S finetune.trainable=all'
    ),
    "```yaml\nfinetune: {epochs: 3}\n```\n",
    "```yaml\nexternal:\n- {name: mine, path: messages.csv}\nfinetune: {epochs: 3}\n```\n",
    console("dvc repro reports/dvc.yaml:compare"),
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
    (console("dvc repro reports/dvc.yaml:calibrat"), "no stage reports/dvc.yaml:calibrat"),
    (console("dvc repro report/dvc.yaml:calibrate"), "no stage report/dvc.yaml:calibrate"),
    ("```yaml\nexternal:\n- {name: mine}\n```\n", "either a path or a url"),
    (console("dvc exp run -S finetune.epoch=3"), "no finetune.epoch"),
    (console("dvc plots diff HEAD shrot"), "shrot: no such revision"),
    (console("dvc status && make rep"), "no target rep"),
    (console("python -m spam_gpt2.registry"), "no module spam_gpt2.registry"),
    (console("python -m spam_gpt2 --colum body"), "unrecognized arguments: --colum"),
    (console("python -m spam_gpt2 --quoting all"), "invalid choice: 'all'"),
    (console("python -m spam_gpt2.experiments --jobs two"), "invalid int value: 'two'"),
    (console("make score INPUTS=a OUTPUT=b"), "has no INPUTS"),
    (console("python -m spam_gpt2.scoring a b --mastre yarn"), "unrecognized arguments: --mastre"),
    (
        console("spark-submit --master yarn src/spam_gpt2/scoring/__main__.py a b --colum c"),
        "has no option --colum",
    ),
    (console("spark-submit src/spam_gpt2/scoring/main.py a b"), "no script"),
    (console("python benchmarks/run.py --quik"), "no option --quik"),
    (console("bash benchmarks/gpus.sh"), "no file benchmarks/gpus.sh"),
    (console("source .venv/bin/activat"), "no file .venv/bin/activat"),
    (console("git comit"), "git has no comit"),
    (console("git add .dvc/confg"), "no file .dvc/confg"),
    (console("dvc checkout dvc.yml"), "no stage dvc.yml"),
    (console("dvc exp run --copy-paths data/mine.csv"), "no stage data/mine.csv"),
    (console("make test NAME=lora"), "make test has no NAME"),
    (console("make seeds NAME=default SEEDS=few"), "SEEDS=few is no number"),
    ("It is `finetune.trainable: nonsense`.", "finetune.trainable"),
    ("Under `prepare`: `quoting: some`.", "prepare.quoting"),
    ("Under `prepare`: `delimter: tab`.", "no parameter delimter"),
    ("It is `batch_sizes_of_all`.", "nothing is called batch_sizes_of_all"),
    ("It is `GPT2_MIROR`.", "nothing is called GPT2_MIROR"),
    ("It is `MultiHeadAttention.from_two`.", "nothing is called from_two"),
    ("With `--tempo` it is quick.", "no option --tempo"),
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
    ("See `data/nowhere.csv`.", "no file data/nowhere.csv"),
    ("See `data/prepared/nowhere.csv`.", "no file data/prepared/nowhere.csv"),
    ("See `plots/gpt2/nowhere.csv`.", "no file plots/gpt2/nowhere.csv"),
    ("See `pr-report/nowhere.md`.", "no file pr-report/nowhere.md"),
    ("[a](nowhere.md)", "nowhere.md: no such file"),
    ('[a](nowhere.md "title")', "nowhere.md: no such file"),
    ("[a][b]\n\n[b]: nowhere.md", "nowhere.md: no such file"),
    ("[a][b]", "[a][b]: no such reference"),
    ("![a](nowhere.png)", "nowhere.png: no such file"),
    ('<img src="nowhere.png">', "nowhere.png: no such file"),
    ("[a](../README.md#nowhere)", "#nowhere: no such heading"),
    ("```python\nfrom spam_gpt2.predict import Predictor\n```\n", "no spam_gpt2.predict.Predictor"),
    (
        "```python\nfrom spam_gpt2.classifier import predict\npredict.Predict()\n```\n",
        "has no Predict",
    ),
    ("```\nprepare ── fintune\n```\n", "no stage fintune"),
    ("```\nsrc/spam_gpt2/  all\n  gpt2/  GPT-2\n    modle.py  x\n```\n", "gpt2/modle.py"),
]
OVERRIDES = [
    ("finetune.trainable=nonsense", "finetune.trainable"),
    ("finetune.epochs=many", "finetune.epochs"),
    ("finetune.epochs=0", "finetune.epochs"),
    ("prepare.labels=[spam,spam]", "prepare.labels"),
    ("prepare.columns={label: v1", "prepare.columns"),  # DVC itself cannot read it
    ("prepare.train=0.8' -S 'prepare.validation=0.3", "prepare"),  # wrong together
]
BLOCKS = [
    ("```{}\n$ make repo\n```\n", "sh", "a block of sh, which nothing checks"),
    ("```{}\nmake repro\n```\n", "console", "without a line that begins with $"),
    ("```{}\n$ make repo\n```\n", "", "not marked console"),
    ("```{}\nmake repro\n```\n", "", "not marked console"),
    ("~~~{}\n$ make repo\n~~~\n", "console", "no target repo"),
    ("1. One\n\n   ```{}\n   $ make repo\n   ```\n", "console", "no target repo"),
    ("````{}\n$ make repo\n````\n", "console", "no target repo"),
    ("One:\n\n    $ make repo{}\n", "", "not marked console"),
    ("```{}\nfinetune: {{epochs: many}}\n```\n", "yaml", "finetune.epochs"),
    ("```{}\nfinetune: {{epoch: 3}}\n```\n", "yaml", "no finetune.epoch"),
    ("```{}\nfinetune: [\n```\n", "yaml", "YAML block"),
]


@pytest.mark.parametrize(("override", "expected"), OVERRIDES)
def test_a_value_that_the_project_refuses_is_found(override: str, expected: str) -> None:
    [fault] = faults(console(f"dvc exp run -S '{override}'"), INVENTED)
    assert expected in fault


@pytest.mark.parametrize(("form", "kind", "expected"), BLOCKS)
def test_every_form_of_block_is_looked_at(form: str, kind: str, expected: str) -> None:
    [fault] = faults(form.format(kind), INVENTED)
    assert expected in fault


@pytest.mark.parametrize("text", RIGHT)
def test_what_exists_is_no_fault(text: str) -> None:
    assert faults(text, INVENTED) == []


@pytest.mark.parametrize(("text", "expected"), WRONG)
def test_a_slip_is_found(text: str, expected: str) -> None:
    [fault] = faults(text, INVENTED)
    assert expected in fault

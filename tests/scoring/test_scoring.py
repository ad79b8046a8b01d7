"""Scoring on a real Spark in local mode: equal to the command line, whole whatever is killed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import chdir
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pandas as pd
import pyarrow as pa
import pytest
from conftest import ROOT
from decided import DECISION_DIR, save_decision_for
from finished import AWKWARD, LABELS, evaluate, write_project
from pyarrow import parquet

from spam_gpt2.__main__ import main as command_line
from spam_gpt2.classifier.predict import Predictor
from spam_gpt2.common.files import InputError
from spam_gpt2.scoring.__main__ import main
from spam_gpt2.scoring.score import score
from spam_gpt2.scoring.session import need_spark, spark_session
from spam_gpt2.tracking.registry import main as register

# MLflow's own affairs with SQLAlchemy and with pandas, and PySpark's with pandas.
pytestmark = [
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy"),
    pytest.mark.filterwarnings("ignore:Operation with range is deprecated"),
    pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas"),
]
CARD = Path("models/classifier/classifier.json")
TEXTS = [
    *AWKWARD,
    None,
    "",
    *(f"message {i * i} of many {'again ' * (i % 9)}" for i in range(1300)),
]


def run(root: Path, program: Any, *arguments: object) -> None:
    """Run a command line in this process, in a project's folder."""
    with chdir(root), patch.object(sys, "argv", ["program", *map(str, arguments)]):
        program()


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    """One session for all: Java takes seconds to start."""
    try:
        need_spark()
    except InputError as error:
        pytest.skip(str(error))
    with spark_session("local[2]") as it:
        yield it


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, spark: Any) -> Path:
    """A registered champion whose decision leaves some messages unsure, and `inbox.parquet`."""
    root = tmp_path_factory.mktemp("project")
    write_project(root)
    evaluate(root)
    predictor = Predictor.load(root / CARD.parent, root / "models/gpt2")
    shares = sorted(p.probabilities[1] for p in predictor.predict([t or "" for t in TEXTS]))
    zone = {
        "threshold": in_widest_gap(shares[800:1000]),
        "unsure_from": in_widest_gap(shares[300:500]),
    }
    save_decision_for(root / CARD, root / DECISION_DIR, LABELS, **zone)
    run(root, register)
    write_inbox(root / "inbox.parquet", TEXTS)
    return root


def in_widest_gap(shares: list[float]) -> float:
    """Where no message is so near that the rounding of another batch would move it across."""
    low, high = max(pairwise(shares), key=lambda pair: pair[1] - pair[0])
    return (low + high) / 2


def write_inbox(path: Path, texts: list[str | None]) -> None:
    columns = {"id": range(len(texts)), "text": texts, "label": ["theirs"] * len(texts)}
    parquet.write_table(pa.table({k: list(v) for k, v in columns.items()}), path)


def read(folder: Path) -> pd.DataFrame:
    """What was written, in the order of the input."""
    return pd.read_parquet(folder).sort_values("id", ignore_index=True)


IN_WORKER = """
import os, sys, time, torch
from spam_gpt2.classifier.predict import shared_predictor
time.sleep(0.3)  # so that no worker takes all
info = shared_predictor.cache_info()
"""


def test_a_worker_loads_the_model_once_and_has_a_threads_share(
    project: Path, tmp_path: Path, spark: Any
) -> None:
    """This test is the first that scores: each run has a model of its own."""
    from pyspark.sql.functions import pandas_udf

    model = "models:/spam-gpt2/1"
    with chdir(project):
        score(spark, str(project / "inbox.parquet"), str(tmp_path / "out"), model, None, 200)

    @pandas_udf("pid long, loads long, uses long, threads long")
    def in_worker(numbers: pd.Series) -> pd.DataFrame:
        names: dict[str, Any] = {}
        exec(IN_WORKER, names)  # the code that the model brought, not what the driver has
        info, here = names["info"], names["os"].getpid()
        threads = names["torch"].get_num_threads()
        row = (here, info.misses, info.hits + info.misses, threads)
        return pd.DataFrame([row] * len(numbers), columns=["pid", "loads", "uses", "threads"])

    rows = (
        spark.range(8).repartition(8).select(in_worker("id").alias("it")).select("it.*").collect()
    )
    workers = {row.pid: row for row in rows}
    assert 1 <= len(workers) <= 2
    assert sum(row.uses for row in workers.values()) >= len(TEXTS) / 200
    assert {row.loads for row in workers.values()} == {1}
    assert {row.threads for row in workers.values()} == {1}  # spark.task.cpus


def test_every_row_is_as_the_command_line_has_it(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(project, main, project / "inbox.parquet", tmp_path / "out")
    said = capsys.readouterr()
    assert said.out == f"{tmp_path}/out: {len(TEXTS):,} messages scored\n"
    assert "rows without text: 1, read as empty messages" in said.err
    run(project, command_line, "--csv", "inbox.parquet", "--output", tmp_path / "out.csv")
    ours = read(tmp_path / "out")
    theirs = pd.read_csv(tmp_path / "out.csv", keep_default_na=False)
    assert list(ours.columns) == list(theirs.columns)
    assert ours["id"].tolist() == list(range(len(TEXTS)))
    assert [None if pd.isna(text) else text for text in ours["text"]] == TEXTS
    assert ours["predicted"].tolist() == theirs["predicted"].tolist()
    assert set(ours["predicted"]) == {*LABELS, "unsure"}
    for name in ("probability", "probability_ham", "probability_spam"):
        assert (ours[name] - theirs[name]).abs().max() < 2e-6  # the command line writes 6 places


def test_the_model_is_asked_once_a_row(project: Path, spark: Any) -> None:
    """Its answer has four columns; taken one by one, each would cost all of it."""
    from pyspark.sql import functions as F

    from spam_gpt2.scoring.score import prediction_udf, with_prediction

    table = spark.read.parquet(str(project / "inbox.parquet"))
    with chdir(project):
        predict = prediction_udf(spark, "models:/spam-gpt2/1")
    scored = with_prediction(table, predict(F.col("text")), "it")
    plan = scored._jdf.queryExecution().executedPlan().toString()
    (evaluation,) = [line for line in plan.splitlines() if "ArrowEvalPython" in line]
    assert evaluation.count("udf(") == 1


KILLER = """
import os, sys
from pathlib import Path
import mlflow
from spam_gpt2.tracking.serving import SpamClassifier

class Killer(SpamClassifier):
    batches = 0

    def predict(self, model_input):
        from pyspark import TaskContext

        task = TaskContext.get()
        self.batches += 1
        if self.batches == 2 and task.attemptNumber() == 0 and task.partitionId() < 2:
            with Path({killed!r}).open("a") as file:
                file.write(f"{{task.partitionId()}}\\n")
            os.kill(os.getpid(), 9)
        return super().predict(model_input)

mlflow.models.set_model(Killer())
"""


def test_a_killed_task_is_run_again_and_no_row_is_lost_or_doubled(
    project: Path, tmp_path: Path, spark: Any
) -> None:
    """Two workers kill themselves when they have answered a batch."""
    import mlflow

    from spam_gpt2.tracking.registry import artifact_paths
    from spam_gpt2.tracking.serving import signature

    (tmp_path / "killer.py").write_text(KILLER.format(killed=str(tmp_path / "killed")))
    with chdir(project):
        mlflow.pyfunc.save_model(
            str(tmp_path / "model"),
            python_model=str(tmp_path / "killer.py"),
            artifacts={path.name: path.as_posix() for path in artifact_paths()},
            code_paths=[str(ROOT / "src/spam_gpt2")],
            signature=signature(LABELS),
            pip_requirements=[],
        )
    batch = "spark.sql.execution.arrow.maxRecordsPerBatch"
    before = spark.conf.get(batch)
    spark.conf.set(batch, "50")
    try:
        source, model = str(project / "inbox.parquet"), str(tmp_path / "model")
        scored = score(spark, source, str(tmp_path / "out"), model, None, 400)
    finally:
        spark.conf.set(batch, before)
    assert sorted((tmp_path / "killed").read_text().split()) == ["0", "1"]
    assert scored.rows == len(TEXTS)
    ours = read(tmp_path / "out")
    assert ours["id"].tolist() == list(range(len(TEXTS)))
    with chdir(project):
        predictor = Predictor.load(decision_dir=DECISION_DIR)
    expected = [each.label for each in predictor.predict([text or "" for text in TEXTS])]
    assert ours["predicted"].tolist() == expected


def test_bytes_that_are_no_utf8_lose_no_row(
    project: Path, tmp_path: Path, spark: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = pa.array([b"WIN \xa3100", b"see you", b"\xff\xfe"]).view(pa.string())
    parquet.write_table(pa.table({"id": [0, 1, 2], "text": texts}), tmp_path / "in.parquet")
    run(project, main, tmp_path / "in.parquet", tmp_path / "out")
    assert "texts that are not UTF-8: 2, other bytes read as U+FFFD" in capsys.readouterr().err
    written = spark.read.parquet(str(tmp_path / "out")).orderBy("id")
    labels = [row.label for row in written.select("label").collect()]
    write_inbox(tmp_path / "replaced.parquet", ["WIN \ufffd100", "see you", "\ufffd\ufffd"])
    run(project, main, tmp_path / "replaced.parquet", tmp_path / "replaced")
    assert labels == read(tmp_path / "replaced")["predicted"].tolist()


def refusal(project: Path, capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The one line of a run that ends with exit code 1."""
    with pytest.raises(SystemExit) as left:
        run(project, main, *arguments)
    assert left.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    return line


def damage_pages(content: bytes) -> bytes:
    return content[:4] + bytes(byte ^ 0x5A for byte in content[4:3000]) + content[3000:]


@pytest.mark.parametrize(
    "damage", [lambda content: content[:3000], damage_pages], ids=["cut off", "pages"]
)
def test_a_corrupt_file_is_named_and_nothing_is_left(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: Any
) -> None:
    (tmp_path / "in").mkdir()
    for name in ("a", "b"):
        write_inbox(tmp_path / f"in/{name}.parquet", TEXTS)
    bad = tmp_path / "in/b.parquet"
    bad.write_bytes(damage(bad.read_bytes()))
    line = refusal(project, capsys, tmp_path / "in", tmp_path / "out")
    assert line.startswith(f"error: {bad}: cannot be read as Parquet: ")
    assert not (tmp_path / "out").exists()


def test_an_output_that_exists_is_refused(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/precious").write_text("kept")
    line = refusal(project, capsys, project / "inbox.parquet", tmp_path / "out")
    assert line.startswith(f"error: {tmp_path}/out: exists already")
    assert (tmp_path / "out/precious").read_text() == "kept"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ["inbox.parquet", "--column", "body"],
            "inbox.parquet: no column 'body' among 'id', 'text'",
        ),
        (["inbox.parquet", "--column", "id"], "inbox.parquet: column 'id' is bigint, not string"),
        (["nowhere.parquet"], "nowhere.parquet: no such file or folder"),
        (["models/decision"], "models/decision/decision.json: cannot be read as Parquet"),
        (["inbox.parquet", "--model", "models:/other/7"], "MLflow: "),
    ],
    ids=["column", "type", "input", "no Parquet", "model"],
)
def test_what_is_wrong_is_one_line(
    project: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    expected: str,
) -> None:
    line = refusal(project, capsys, project / arguments[0], tmp_path / "out", *arguments[1:])
    assert expected in line
    assert not (tmp_path / "out").exists()

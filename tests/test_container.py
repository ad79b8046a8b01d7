"""The container's list of packages is enough for the page, and no more than it needs."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

from app_requests import make_service
from conftest import ROOT
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
LISTED = set(re.search(r'ARG PACKAGES="([^"]*)"', DOCKERFILE)[1].replace("\\\n", " ").split())
# What the image cannot import is refused, whatever is installed here.
BLOCKED = """
import sys
from importlib.metadata import packages_distributions
allowed, blocked = set({allowed!r}), {{"tensorflow", "dvc", "mlflow"}}
tops = packages_distributions()

class Finder:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        named = {{d.lower().replace("_", "-").replace(".", "-") for d in tops.get(top, ())}}
        if top in blocked or (named and not named & allowed):
            raise ModuleNotFoundError(f"not in the image: {{top}}", name=top)

sys.meta_path.insert(0, Finder())
from pathlib import Path
from spam_gpt2.app.__main__ import run
from spam_gpt2.app.guard import guarded
from spam_gpt2.app.service import load_service, read_texts
from spam_gpt2.app.web import create_app
import uvicorn
service = load_service(Path("models/classifier"), Path("models/gpt2"), Path("data/feedback.csv"))
guarded(create_app(service), "127.0.0.1")
assert read_texts(b"text\\nhello\\n", ".csv") == ["hello"]
print(len(service.classify(["hello"])), len(service.explain("hello you")["parts"]))
service.correct("hello", "ham")
"""


def test_the_page_runs_on_the_listed_packages_alone(tmp_path: Path) -> None:
    make_service(tmp_path)
    code = BLOCKED.format(allowed=sorted(LISTED | {"torch", "spam-gpt2"}))
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={"PYTHONPATH": str(ROOT / "src")},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[0]) == 1
    assert (tmp_path / "data/feedback.csv").exists()


def test_what_the_listed_packages_need_is_listed() -> None:
    missing = set()
    for package in (LISTED | {"torch"}) - {"six"}:
        for line in importlib.metadata.requires(package) or []:
            need = Requirement(line)
            applies = need.marker is None or need.marker.evaluate({"extra": ""})
            name = canonicalize_name(need.name)
            of_the_gpu = name.startswith(("nvidia-", "cuda-", "triton"))
            if applies and name not in LISTED and not of_the_gpu:
                missing.add(f"{package} needs {name}")
    assert missing == set()


def test_the_lock_file_has_every_listed_package() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert {name for name in LISTED if f"\n{name}==" not in lock} == set()


def test_torch_is_the_version_of_the_project() -> None:
    pinned = re.search(r'"torch==([0-9.]+)"', (ROOT / "pyproject.toml").read_text())[1]
    assert f"ARG TORCH={pinned}+cpu\n" in DOCKERFILE


def test_it_runs_as_nobody_in_particular_and_says_whether_it_is_well() -> None:
    last = DOCKERFILE.rpartition("\nFROM ")[2]
    assert re.search(r"^USER 10001$", last, re.MULTILINE)
    assert "HEALTHCHECK" in last
    assert "/health" in last

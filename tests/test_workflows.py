"""GitHub's workflows: what they may do, what they run, and that the comment arrives."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from spam_gpt2.common.markdown import LIMIT

ROOT = Path(__file__).parent.parent
PATHS = sorted((ROOT / ".github/workflows").glob("*.yml"))
READ_ONLY = {"contents": "read"}
PINNED = re.compile(r"uses: ([\w.-]+/[\w./-]+)@([0-9a-f]{40}) # v(\d+\.\d+\.\d+)$", re.MULTILINE)


def load(path: Path) -> dict[str, Any]:
    """All scalars as text: YAML 1.1 would take the key `on` for true."""
    return yaml.load(path.read_text(encoding="utf-8"), yaml.BaseLoader)


WORKFLOWS = {path.stem: load(path) for path in PATHS}


def jobs() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, workflow in WORKFLOWS.items():
        for job in workflow["jobs"].values():
            yield name, job


def steps(name: str) -> list[dict[str, Any]]:
    """All steps of a workflow."""
    return [step for owner, job in jobs() if owner == name for step in job["steps"]]


def triggers(name: str) -> set[str]:
    on = WORKFLOWS[name]["on"]
    return {on} if isinstance(on, str) else set(on)


def test_there_are_four() -> None:
    assert set(WORKFLOWS) == {"tests", "audit", "pr-report", "pr-comment"}


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_actions_are_pinned_by_commit_with_the_version_beside(path: Path) -> None:
    lines = [line for line in path.read_text().splitlines() if "uses:" in line]
    assert len(lines) == sum("uses" in step for step in steps(path.stem))
    assert all(PINNED.search(line) for line in lines), lines


def test_an_action_is_pinned_once() -> None:
    pins: dict[str, set[str]] = {}
    for path in PATHS:
        for action, commit, version in PINNED.findall(path.read_text()):
            pins.setdefault(action, set()).add(f"{commit} {version}")
    assert {action: len(versions) for action, versions in pins.items()} == {
        "actions/checkout": 1,
        "actions/setup-python": 1,
        "actions/upload-artifact": 1,
    }


def test_only_the_job_that_comments_may_write() -> None:
    assert all(workflow["permissions"] == READ_ONLY for workflow in WORKFLOWS.values())
    granted = {name: job["permissions"] for name, job in jobs() if "permissions" in job}
    assert granted == {"pr-comment": {"actions": "read", "pull-requests": "write"}}


def test_what_runs_a_pull_requests_code_is_triggered_without_rights() -> None:
    assert triggers("tests") == {"push", "pull_request"}
    assert triggers("pr-report") == {"pull_request"}
    assert triggers("pr-comment") == {"workflow_run"}


def test_what_may_write_runs_nothing_of_the_pull_request() -> None:
    [step] = steps("pr-comment")
    assert "uses" not in step
    commands = re.findall(r"^\s*(?:\w+=\$\()?([a-z]+)\b", step["run"], flags=re.MULTILINE)
    known = {"gh", "if", "then", "else", "fi", "echo", "exit", "printf", "unzip", "sed", "select"}
    assert set(commands) <= known
    assert not re.search(r"\b(git|python\d?|pip|make|bash|sh|source|eval|node|npm)\b", step["run"])


def test_no_expression_is_pasted_into_a_script() -> None:
    scripts = [step["run"] for name in WORKFLOWS for step in steps(name) if "run" in step]
    assert len(scripts) >= 4
    assert not any("${{" in script for script in scripts)


def test_checkouts_keep_no_token() -> None:
    checkouts = [s for name in WORKFLOWS for s in steps(name) if "checkout@" in s.get("uses", "")]
    assert len(checkouts) == 3
    assert all(step["with"]["persist-credentials"] == "false" for step in checkouts)
    assert not any("ref" in step["with"] for step in checkouts)


def test_every_job_ends() -> None:
    assert all(0 < int(job["timeout-minutes"]) <= 60 for _, job in jobs())


def test_the_tests_run_as_the_readme_says_on_each_supported_python() -> None:
    [(_, job)] = [(name, job) for name, job in jobs() if name == "tests"]
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    supported = SpecifierSet(re.search(r'requires-python = "(.+)"', project)[1])
    pythons = [f"3.{minor}" for minor in range(30) if supported.contains(f"3.{minor}")]
    assert job["strategy"]["matrix"]["python"] == pythons
    assert job["strategy"]["matrix"]["os"] == ["ubuntu-latest", "macos-latest"]
    [command] = [step["run"] for step in job["steps"] if "run" in step]
    assert command == "make test"
    assert f"$ {command} " in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_comment_waits_for_the_report_and_takes_its_artefact() -> None:
    trigger = WORKFLOWS["pr-comment"]["on"]["workflow_run"]
    assert trigger == {"workflows": [WORKFLOWS["pr-report"]["name"]], "types": ["completed"]}
    [upload] = [s for s in steps("pr-report") if "upload-artifact@" in s.get("uses", "")]
    [step] = steps("pr-comment")
    assert f'/artifacts?name={upload["with"]["name"]}"' in step["run"]
    condition = WORKFLOWS["pr-comment"]["jobs"]["comment"]["if"]
    assert "workflow_run.event == 'pull_request'" in condition
    assert "workflow_run.conclusion == 'success'" in condition


def closure(names: list[str]) -> set[str]:
    """Names of distributions and of all that they need, as installed here."""
    found: set[str] = set()
    waiting = [name.lower() for name in names]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            needs = [Requirement(text) for text in metadata.requires(name) or []]
            kept = [n for n in needs if n.marker is None or n.marker.evaluate({"extra": ""})]
            waiting += [need.name.lower() for need in kept]
    return found


WITHOUT = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in sys.argv[1:]:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Refuse())
from spam_gpt2.reporting.pr_report import write_report
"""


def test_the_packages_that_the_report_installs_are_enough() -> None:
    [install] = [s["run"] for s in steps("pr-report") if s.get("run", "").startswith("pip ")]
    assert install.startswith("pip install --constraint constraints.txt ")
    allowed = closure(install.split()[4:]) | {"spam-gpt2"}
    owners = metadata.packages_distributions()
    refused = [m for m, names in owners.items() if allowed.isdisjoint(map(str.lower, names))]
    assert {"torch", "tensorflow"} <= set(refused)
    command = [sys.executable, "-c", WITHOUT, *refused]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    one_less = [sys.executable, "-c", WITHOUT, *refused, "tqdm"]
    assert subprocess.run(one_less, capture_output=True).returncode != 0


FORK = {"head": {"label": "fork:main", "sha": "b" * 40}, "state": "open", "number": 8}
OTHER = {"head": {"label": "other:main", "sha": "c" * 40}, "state": "open", "number": 9}
CLOSED = FORK | {"state": "closed", "number": 7}
RUN = 77
needs_tools = pytest.mark.skipif(
    not all(map(shutil.which, ("bash", "jq", "unzip"))), reason="needs bash, jq and unzip"
)


class GitHub:
    """A made-up repository, and the comment workflow's script run against it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state_path = folder / "github.json"
        self.state: dict[str, Any] = {
            "pulls": [CLOSED, OTHER, FORK],
            "artifacts": [],
            "comments": [],
        }
        gh = folder / "bin/gh"
        gh.parent.mkdir()
        gh.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{ROOT}/tests/fake_gh.py" "$@"\n')
        gh.chmod(0o755)

    def upload(self, files: dict[str, str], run: int = RUN, name: str = "pr-report") -> None:
        """An artefact of a run; a later one of the same name follows it."""
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
            for path, text in files.items():
                file.writestr(path, text)
        number = len(self.state["artifacts"]) + 1
        made = {"id": number, "run": run, "name": name, "zip": archive.getvalue().hex()}
        self.state["artifacts"].append(made | {"created_at": f"2026-01-0{number}T00:00:00Z"})

    def comment(self, sha: str = "b" * 40, head: str = "fork:main") -> subprocess.CompletedProcess:
        """Run the script as GitHub would after a report on this commit."""
        [step] = steps("pr-comment")
        work = self.folder / "work"
        work.mkdir(exist_ok=True)
        environment = {name: value for name, value in step["env"].items() if "${{" not in value}
        environment |= {
            "PATH": f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "FAKE_GITHUB": str(self.state_path),
            "GH_TOKEN": "token",
            "REPOSITORY": "repos/owner/project",
            "RUN_ID": str(RUN),
            "RUN_URL": f"https://example.org/runs/{RUN}",
            "HEAD": head,
            "HEAD_SHA": sha,
        }
        assert set(step["env"]) <= set(environment)
        self.state_path.write_text(json.dumps(self.state))
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
        done = subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True)
        self.state = json.loads(self.state_path.read_text())
        return done

    @property
    def comments(self) -> list[tuple[int, str]]:
        """Number of the pull request and text of each."""
        return [(comment["issue"], comment["body"]) for comment in self.state["comments"]]


@pytest.fixture
def github(tmp_path: Path) -> GitHub:
    """Without comments or artefacts so far."""
    return GitHub(tmp_path)


@needs_tools
def test_the_comment_goes_to_the_pull_request_whose_newest_commit_it_is_for(
    github: GitHub,
) -> None:
    github.upload({"comment.md": "## Results\n\n▲ better\n", "after/picture.png": "x"})
    done = github.comment()
    assert done.returncode == 0, done.stderr
    [(number, body)] = github.comments
    assert number == 8
    assert body.startswith("<!-- spam-gpt2 pr-report -->\n## Results\n\n▲ better\n")
    assert body.endswith(f"[pr-report](https://example.org/runs/{RUN}#artifacts)</sub>\n")
    assert f"this pull request at {'b' * 40}." in body


@needs_tools
def test_the_longest_report_is_not_too_long_with_what_is_added(github: GitHub) -> None:
    github.upload({"comment.md": "▲" * LIMIT + "\n"})
    done = github.comment()
    assert done.returncode == 0, done.stderr
    [(_, body)] = github.comments
    assert body.count("▲") == LIMIT


@needs_tools
def test_the_next_report_takes_the_place_of_the_last(github: GitHub) -> None:
    marker = "<!-- spam-gpt2 pr-report -->"
    bot = {"login": "github-actions[bot]"}
    others = [
        {"id": 1, "issue": 8, "user": {"login": "someone"}, "body": f"{marker}\nquoted"},
        {"id": 2, "issue": 8, "user": bot, "body": f"another workflow's, on {marker}"},
        {"id": 3, "issue": 9, "user": bot, "body": f"{marker}\nof another pull request"},
    ]
    github.state["comments"] = [dict(comment) for comment in others]
    for text in ("first", "second"):
        github.upload({"comment.md": text})
        done = github.comment()
        assert done.returncode == 0, done.stderr
    *kept, (number, body) = github.comments
    assert kept == [(comment["issue"], comment["body"]) for comment in others]
    assert number == 8
    assert "second" in body
    assert "first" not in body


@needs_tools
@pytest.mark.parametrize(
    ("sha", "head"),
    [("d" * 40, "fork:main"), ("b" * 40, "fork:gone"), ("b" * 40, "other:main")],
    ids=["newer commits", "no such branch", "another's pull request"],
)
def test_a_report_that_nobody_waits_for_is_dropped(github: GitHub, sha: str, head: str) -> None:
    github.upload({"comment.md": "late"})
    done = github.comment(sha, head)
    assert done.returncode == 0
    assert (
        done.stdout == f"No open pull request ends in {sha}: it was closed, or has newer commits.\n"
    )
    assert github.comments == []


@needs_tools
def test_names_are_data_and_mention_nobody(github: GitHub, tmp_path: Path) -> None:
    head = 'fork:"; touch owned; $(touch owned) `touch owned`'
    github.state["pulls"] = [FORK | {"head": FORK["head"] | {"label": head}}]
    github.upload({"comment.md": "@everyone $(touch owned) `touch owned`", "../owned": "x"})
    done = github.comment(head=head)
    assert done.returncode == 0, done.stderr
    [(_, body)] = github.comments
    assert "@\u200beveryone $(touch owned) `touch owned`" in body
    assert not list(tmp_path.rglob("owned"))
    assert {path.name for path in (tmp_path / "work").iterdir()} == {"pr-report.zip", "body.md"}


@needs_tools
@pytest.mark.parametrize(
    "files", [{"other.md": "x"}, {"comment.md": "x" * 70_000}, {"comment.md": "x" * 10**7}, None],
    ids=["no comment", "longer than GitHub takes", "a bomb", "no artefact"],
)  # fmt: skip
def test_an_artefact_that_is_no_report_leaves_no_comment(
    github: GitHub, files: dict[str, str] | None
) -> None:
    if files:
        github.upload(files)
    assert github.comment().returncode != 0
    assert github.comments == []
    body_path = github.folder / "work/body.md"
    assert not body_path.exists() or body_path.stat().st_size < 300_000


def test_the_audit_looks_up_every_lock_file() -> None:
    [commands] = [
        [step["run"] for step in job["steps"] if "pip-audit " in step.get("run", "")]
        for name, job in jobs()
        if name == "audit"
    ]
    looked_up = re.findall(r"-r (\S+)", " ".join(commands))
    assert sorted(looked_up) == sorted(path.name for path in ROOT.glob("requirements*.lock"))

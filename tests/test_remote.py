"""The task for a rented machine says nothing that this project would refuse."""

from __future__ import annotations

import re
import subprocess
from string import Template

import pytest
import yaml
from conftest import ROOT
from document_commands import command_faults, shell_lines

TASK = yaml.safe_load((ROOT / "docs/remote.yaml").read_text(encoding="utf-8"))
PAGE = (ROOT / "docs/remote.md").read_text(encoding="utf-8")
VALUES = {"REPOSITORY": "https://example.org/a.git", "USER": "me"}
SHELL = ("set ", "test ", "cd ", "pip ")  # nothing of ours


def lines(part: str) -> list[str]:
    """Commands of a part of the task, with the values that the file gives."""
    values = {k: v for k, v in TASK["envs"].items() if v is not None} | VALUES
    return [Template(line).safe_substitute(values) for line in TASK[part].splitlines()]


@pytest.mark.parametrize("part", ["setup", "run"])
def test_its_commands_are_ours(part: str) -> None:
    subprocess.run(["bash", "-n", "-c", TASK[part]], check=True)
    ours = [line for line in lines(part) if not line.startswith(SHELL)]
    assert len(ours) > 3
    assert [fault for line in ours for fault in command_faults(line, set())] == []


def test_what_would_be_wrong_is_seen() -> None:
    (run,) = [line for line in lines("run") if line.startswith("dvc exp run")]
    for right, wrong in (("=cuda", "=gpu"), ("processes=1", "processes=0"), ("exp run", "exp rn")):
        assert run.count(right) == 1
        assert command_faults(run.replace(right, wrong), set())


def test_it_has_the_fields_of_a_task() -> None:
    """Of SkyPilot's reference, those that are used; https://docs.skypilot.co yaml-spec."""
    assert TASK.keys() == {"name", "resources", "envs", "setup", "run"}
    assert TASK["resources"].keys() == {"accelerators", "disk_size", "autostop"}
    assert re.fullmatch(r"[A-Z0-9]+:\d+", TASK["resources"]["accelerators"])
    assert all(value is None or isinstance(value, str) for value in TASK["envs"].values())
    used = set(re.findall(r"\$\{?([A-Z]+)", TASK["setup"] + TASK["run"])) - {"USER"}
    assert used == TASK["envs"].keys()


def test_the_page_gives_it_what_it_takes() -> None:
    given = [line for line in shell_lines(PAGE) if line.startswith("sky ")]
    assert len(given) == 3
    assert set(re.findall(r"--env ([A-Z]+)=", " ".join(given))) <= TASK["envs"].keys()
    assert f"dvc exp apply {TASK['envs']['NAME']}" in PAGE
    assert "Neither recipe has been run here, nor several GPUs" in PAGE


def test_commands_over_ssh_are_ours() -> None:
    remote = re.findall(r"^\$ ssh gpu '(.*)'$", PAGE, re.MULTILINE)
    assert len(remote) == 2
    for line in remote:
        commands = [part for part in line.split(" && ") if not part.startswith(("cd ", ". "))]
        assert [f for command in commands for f in command_faults(command, set())] == []

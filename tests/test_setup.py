"""`make setup`: which build of torch is chosen, what is told before anything is installed.

torch and a package that its CUDA build brings are made here, a few lines each, so that pip really
installs the one and the other.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from conftest import ROOT
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

pytestmark = pytest.mark.skipif(not shutil.which("make"), reason="no make")

VERSION = re.search(r'"torch==([0-9.]+)"', (ROOT / "pyproject.toml").read_text())[1]
NVIDIA_SMI = "#!/bin/sh\n{}\n"
GPU = "echo 'GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-0)'"
NO_DRIVER = "echo 'NVIDIA-SMI has failed because it could not communicate with the driver'; exit 9"
BACKEND = """
from pathlib import Path
from zipfile import ZipFile

def build_editable(folder, config_settings=None, metadata_directory=None):
    name = "spam_gpt2-0.1.0"
    with ZipFile(Path(folder) / f"{name}-py3-none-any.whl", "w") as wheel:
        metadata = "Metadata-Version: 2.1\\nName: spam-gpt2\\nVersion: 0.1.0\\n"
        wheel.writestr(f"{name}.dist-info/METADATA", metadata)
        wheel.writestr(f"{name}.dist-info/WHEEL", "Wheel-Version: 1.0\\nTag: py3-none-any\\n")
        wheel.writestr(f"{name}.dist-info/RECORD", "")
    return f"{name}-py3-none-any.whl"
"""


class Project:
    """The Makefile in a folder, with a package index of its own and a `PATH` to add programs to."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.bin_dir, self.wheels = folder, folder / "bin", folder / "wheels"
        for path in (self.bin_dir, self.wheels, folder / ".git"):
            path.mkdir(parents=True)
        for name in ("Makefile", "pyproject.toml", "requirements.lock", "requirements-cuda.lock"):
            shutil.copyfile(ROOT / name, folder / name)

    def program(self, name: str, script: str) -> None:
        path = self.bin_dir / name
        path.write_text(script)
        path.chmod(0o755)

    def make(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run make; `python3` is this Python, and pip knows the folder's own index alone."""
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("PIP_", "TORCH", "MAKE"))}
        clean |= {
            "PATH": f"{self.bin_dir}:/usr/bin:/bin",
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": self.wheels.as_uri(),
        }
        return subprocess.run(
            ["make", f"PYTHON={sys.executable}", *arguments],
            cwd=self.folder, env=clean | environment, text=True, capture_output=True, timeout=120,
        )  # fmt: skip

    def chosen(self, *arguments: str, **environment: str) -> str:
        """The build that `make setup` would install."""
        done = self.make("--dry-run", "setup", *arguments, **environment)
        assert done.returncode == 0, done.stderr
        with_cuda = "-r requirements-cuda.lock" in done.stdout
        cpu_only = f"torch=={VERSION}+cpu" in done.stdout
        assert with_cuda != cpu_only, done.stdout
        return "cuda" if with_cuda else "cpu"

    def wheel(self, name: str, version: str, requires: str = "") -> str:
        """Make a package of nothing; returns its digest."""
        path = self.wheels / f"{name}-{version}-py3-none-any.whl"
        info = f"{name}-{version}.dist-info"
        with zipfile.ZipFile(path, "w") as wheel:
            wheel.writestr(f"{name}.py", f"build = {version!r}\n")
            metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requires}"
            wheel.writestr(f"{info}/METADATA", metadata)
            wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
            wheel.writestr(f"{info}/RECORD", "")
        return hashlib.sha256(path.read_bytes()).hexdigest()

    def installed(self) -> dict[str, str]:
        """What pip lists, by name."""
        command = [self.folder / ".venv/bin/python", "-m", "pip", "list", "--format", "freeze"]
        lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        pairs = re.findall(r"^(torch|nvidia.toy)==(\S+)$", lines, re.MULTILINE)
        return {name.replace("_", "-"): version for name, version in pairs}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project")


@pytest.mark.skipif(sys.platform != "linux", reason="torch has a CUDA build for Linux only")
def test_the_default_is_cuda_where_nvidia_smi_lists_a_gpu(project: Project) -> None:
    assert project.chosen() == "cpu"
    project.program("nvidia-smi", NVIDIA_SMI.format(NO_DRIVER))
    assert project.chosen() == "cpu"
    project.program("nvidia-smi", NVIDIA_SMI.format("echo 'No devices were found'"))
    assert project.chosen() == "cpu"
    project.program("nvidia-smi", NVIDIA_SMI.format(GPU))
    assert project.chosen() == "cuda"
    assert project.chosen("TORCH=cpu") == "cpu"
    assert project.chosen(TORCH="cpu") == "cpu"


@pytest.mark.skipif(sys.platform != "linux", reason="torch has a CUDA build for Linux only")
def test_what_is_installed_stays_until_another_is_asked_for(project: Project) -> None:
    ready = project.folder / ".venv/.ready"
    ready.parent.mkdir()
    ready.write_text("cuda\n")
    assert "Nothing to be done" in project.make("setup").stdout  # and no nvidia-smi there
    assert "Nothing to be done" in project.make("setup", "TORCH=cuda").stdout
    assert project.chosen("TORCH=cpu") == "cpu"


@pytest.mark.skipif(sys.platform != "linux", reason="torch has a CUDA build for Linux only")
def test_either_build_takes_the_others_place(project: Project) -> None:
    cpu_wheels = project.folder / "cpu"  # an index of its own, as torch has it
    project.wheel("torch", f"{VERSION}+cpu")
    project.wheels.rename(cpu_wheels)
    project.wheels.mkdir()
    torch = project.wheel("torch", VERSION, "Requires-Dist: nvidia-toy==1.0\n")
    toy = project.wheel("nvidia_toy", "1.0")
    (project.folder / "requirements.lock").write_text("")
    (project.folder / "requirements-cuda.lock").write_text(
        f"nvidia-toy==1.0 --hash=sha256:{toy}\ntorch=={VERSION} --hash=sha256:{torch}\n"
    )
    (project.folder / "backend.py").write_text(BACKEND)
    text = (project.folder / "pyproject.toml").read_text()
    own = 'build-backend = "backend"\nbackend-path = ["."]'
    text = text.replace('build-backend = "setuptools.build_meta"', own)
    (project.folder / "pyproject.toml").write_text(text.replace('["setuptools>=77"]', "[]"))
    places = {"cpu": cpu_wheels.as_uri(), "cuda": project.wheels.as_uri()}
    cuda = {"torch": VERSION, "nvidia-toy": "1.0"}
    for build, expected in [("cpu", {"torch": f"{VERSION}+cpu"}), ("cuda", cuda)] * 2:
        done = project.make("setup", f"TORCH={build}", PIP_FIND_LINKS=places[build])
        assert done.returncode == 0, done.stderr
        assert project.installed() == expected
        assert (project.folder / ".venv/.ready").read_text() == f"{build}\n"
    done = project.make("setup", "TORCH=cpu")  # where there is the other build alone
    assert done.returncode == 2
    assert f"error: no CPU build torch=={VERSION} to be had; name an index" in done.stderr
    assert not (project.folder / ".venv/.ready").exists()


def test_a_changed_byte_of_the_cuda_build_is_refused_by_its_digest() -> None:
    """Every package of that lock file has digests, and they are what pip is told to check."""
    blocks = re.split(r"\n(?=\S)", (ROOT / "requirements-cuda.lock").read_text())
    pinned = [block for block in blocks if not block.startswith("#")]
    assert all("==" in block and "--hash=sha256:" in block for block in pinned)
    names = {block.partition("==")[0] for block in pinned}
    assert {"torch", "triton", "nvidia-cublas", "nvidia-cudnn-cu13", "cuda-toolkit"} <= names
    assert f"torch=={VERSION}" in "\n".join(pinned)
    others = (ROOT / "requirements.lock").read_text()
    assert not [name for name in names if f"\n{name}==" in others]


def test_the_extras_are_pinned_beside_what_is_always_installed() -> None:
    """All that they name and bring, with digests; nothing that another lock file pins."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras_of = project["optional-dependencies"]
    wanted = {Requirement(line) for lines in extras_of.values() for line in lines}
    pinned: dict[str, dict[str, str]] = {}
    for name in ("requirements", "requirements-cuda", "requirements-extras"):
        text = (ROOT / f"{name}.lock").read_text(encoding="utf-8")
        blocks = [b for b in re.split(r"\n(?=\S)", text) if not b.startswith("#")]
        assert all("--hash=sha256:" in block for block in blocks)
        pinned[name] = dict(block.split()[0].split("==") for block in blocks)
    extras, base = pinned.pop("requirements-extras"), {k for p in pinned.values() for k in p}
    assert not extras.keys() & base
    versions = extras | pinned["requirements"]
    for requirement in wanted:
        assert requirement.specifier.contains(versions[requirement.name]), requirement.name
    for name in extras.keys() & {d.metadata["Name"] for d in importlib.metadata.distributions()}:
        for line in importlib.metadata.requires(name) or []:
            need = Requirement(line)
            if need.marker is None or need.marker.evaluate({"extra": ""}):
                assert canonicalize_name(need.name) in base | extras.keys(), f"{name}: {need.name}"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["TORCH=rocm"], "error: TORCH=rocm: choose cpu or cuda"),
        (
            ["TORCH=cuda", "SYSTEM=Darwin"],
            "error: TORCH=cuda: torch has a CUDA build for Linux only; choose TORCH=cpu",
        ),
    ],
)
def test_a_build_that_there_is_not_is_told_before_anything_is_installed(
    project: Project, arguments: list[str], line: str
) -> None:
    done = project.make("setup", *arguments)
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == line
    assert not (project.folder / ".venv").exists()


@pytest.mark.parametrize("target", ["setup", "test", "repro", "report"])
def test_a_folder_without_git_is_told_what_to_do_before_anything_is_installed(
    project: Project, target: str
) -> None:
    """As GitHub's zip is; the steps make of it a folder that DVC can work in."""
    (project.folder / ".git").rmdir()
    done = project.make(target)
    assert done.returncode == 2
    line = done.stderr.splitlines()[0]
    assert line.startswith(
        "error: this folder is no git clone, and DVC needs one; take `git clone`"
    )
    assert not (project.folder / ".venv").exists()
    steps = line.split("`")[3]
    who = {
        f"GIT_{role}_{key}": "test" for role in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")
    }
    environment = os.environ | who | {"GIT_CONFIG_GLOBAL": os.devnull}
    subprocess.run(steps, shell=True, cwd=project.folder, env=environment, check=True)
    assert (project.folder / ".git").is_dir()

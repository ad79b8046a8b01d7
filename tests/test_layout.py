"""The order of the packages, written here once: each imports only from those above it.

`reporting` and `experiments` come last and do not know each other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT
from source_code import imports, package_of, parse

PACKAGE_DIR = ROOT / "src/spam_gpt2"
ORDER = (
    "common",
    "gpt2",
    "data",
    "features",
    "classifier",
    "training",
    "figures",
    "evaluation",
    "tracking",
    "app",
    "exports",
    "scoring",
    "experiments",
    "reporting",
)
APART = {
    ("gpt2", "data"),
    ("classifier", "data"),
    ("reporting", "experiments"),
    ("app", "tracking"),
}

MODULES = sorted(PACKAGE_DIR.glob("*/*.py"))


def arrows() -> Iterator[tuple[Path, Path]]:
    """Every import of one module by another, as their files."""
    for module in MODULES:
        for imported in sorted(imports(module)):
            yield module, imported


def against_the_order(source: str, target: str) -> bool:
    """Whether a package may not import from another."""
    if {(source, target), (target, source)} & APART:
        return True
    return source != target and ORDER.index(target) > ORDER.index(source)


def shown(path: Path) -> str:
    return path.relative_to(PACKAGE_DIR).as_posix()


def test_every_package_has_its_place_in_the_order() -> None:
    packages = {path.parent.name for path in MODULES}
    assert packages == set(ORDER)


def test_no_import_runs_against_the_order() -> None:
    wrong = [
        f"{shown(module)} imports {shown(imported)}"
        for module, imported in arrows()
        if against_the_order(package_of(module), package_of(imported))
    ]
    assert not wrong, "\n".join(wrong)


def test_no_import_leads_back_within_a_package() -> None:
    """Modules of one package are free of circles, too."""
    graph: dict[Path, set[Path]] = {}
    for module, imported in arrows():
        graph.setdefault(module, set()).add(imported)
    done: set[Path] = set()

    def visit(module: Path, above: list[Path]) -> None:
        if module in above:
            pytest.fail(f"a circle: {' imports '.join(map(shown, [*above, module]))}")
        if module not in done:
            for imported in sorted(graph.get(module, ())):
                visit(imported, [*above, module])
            done.add(module)

    for module in graph:
        visit(module, [])


@pytest.mark.parametrize("package", ORDER)
def test_a_package_says_what_it_imports_and_does_no_more(package: str) -> None:
    """In its `__init__.py`, whose last line lists the packages; it re-exports nothing."""
    (docstring,) = parse(PACKAGE_DIR / package / "__init__.py").body
    text = docstring.value.value
    found = {package_of(b) for a, b in arrows() if package_of(a) == package} - {package}
    listed = ", ".join(sorted(found, key=ORDER.index)) or "nothing of the others"
    assert text.rstrip().splitlines()[-1] == f"Imports: {listed}."
    assert 1 <= len(re.findall(r"[.:](?:\s|$)", text.split("Imports:")[0])) <= 3


@pytest.mark.parametrize(
    ("source", "target", "wrong"),
    [
        ("common", "gpt2", True),
        ("gpt2", "common", False),
        ("gpt2", "gpt2", False),
        ("reporting", "experiments", True),
        ("tracking", "training", False),
    ],
)
def test_the_order_is_what_is_checked(source: str, target: str, wrong: bool) -> None:
    assert against_the_order(source, target) is wrong


def test_tests_lie_as_the_modules_do() -> None:
    """A module's tests are in the folder of its package, under its name."""
    misplaced = [
        str(path.relative_to(ROOT))
        for package in ORDER
        for path in (ROOT / "tests" / package).glob("test_*.py")
        if not (PACKAGE_DIR / package / path.name.removeprefix("test_")).is_file()
        and path.stem != f"test_{package}"
    ]
    assert misplaced == []

"""What a script imports and which parameters it reads, found in its source without running it."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

from conftest import ROOT

from spam_gpt2.common.params import Params

PACKAGE = "spam_gpt2"
SRC_DIR = ROOT / "src"
FIELDS = {
    name: set(getattr(f.annotation, "model_fields", ())) for name, f in Params.model_fields.items()
}

Key = tuple[str, ...]  # () all of params.yaml, (section,) or (section, key)


@cache
def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), path)


def imported_modules(script: Path) -> set[Path]:
    """Modules of the project that a script imports, at any depth."""
    found: set[Path] = set()
    waiting = [script]
    while waiting:
        for path in imports(waiting.pop()) - found:
            found.add(path)
            waiting.append(path)
    return found


def package_of(module: Path) -> str:
    """Name of the package that a module's file lies in."""
    return module.relative_to(SRC_DIR / PACKAGE).parts[0]


def imports(path: Path) -> set[Path]:
    """Modules of the project that a file imports itself.

    Imports inside functions count, and so do those for types only: what they name exists.
    """
    names = set()
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: line {node.lineno}: a relative import"
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    inside = (name.split(".") for name in names if name.split(".")[0] == PACKAGE)
    return {
        file for parts in inside for end in range(len(parts)) if (file := _file(parts[: end + 1]))
    }


def _file(parts: list[str]) -> Path | None:
    """The file of a module; None for what is none, or for a package that only has a docstring."""
    path = SRC_DIR.joinpath(*parts)
    if path.with_suffix(".py").is_file():
        return path.with_suffix(".py")
    package = path / "__init__.py"
    if path == SRC_DIR / PACKAGE:  # sets how threads wait, which changes no result
        return None
    return package if package.is_file() and len(parse(package).body) > 1 else None


def params_read(script: Path) -> set[Key]:
    """The parameters that a script reads, by itself or in functions that it hands them to.

    A section that goes where this cannot follow (into a method of pydantic's, an attribute, a
    function found at run time) counts as read whole; all of params.yaml likewise, as ().
    """
    modules = [script, *imported_modules(script)]
    functions: dict[str, list[ast.FunctionDef]] = {}
    for node in (node for path in modules for node in ast.walk(parse(path))):
        if isinstance(node, ast.FunctionDef):
            functions.setdefault(node.name, []).append(node)
    reader = _Reader(functions)
    for node in parse(script).body:
        if isinstance(node, ast.FunctionDef):
            reader.follow(node, {})
    return reader.read


class _Reader:
    """Goes through functions and notes where values of params.yaml end up."""

    def __init__(self, functions: dict[str, list[ast.FunctionDef]]) -> None:
        self.functions = functions
        self.read: set[Key] = set()
        self.seen: set[tuple[int, tuple]] = set()

    def follow(self, function: ast.FunctionDef, names: dict[str, Key]) -> None:
        """Note what a function reads when these of its names are (parts of) the parameters."""
        case = (id(function), tuple(sorted(names.items())))
        if case not in self.seen:
            self.seen.add(case)
            for statement in function.body:
                self._visit(statement, names)

    def _visit(self, node: ast.AST, names: dict[str, Key]) -> None:
        if (key := self._key(node, names)) is not None:
            self.read.add(key)
        elif isinstance(node, ast.Assign):
            self._bind(node.targets[0], node.value, names)
        elif isinstance(node, ast.Call):
            self._visit(node.func, names)
            for place, argument in [
                *enumerate(node.args),
                *((k.arg, k.value) for k in node.keywords),
            ]:
                if not self._hand_over(node.func, place, self._key(argument, names)):
                    self._visit(argument, names)
        else:
            for child in ast.iter_child_nodes(node):
                self._visit(child, names)

    def _key(self, node: ast.AST, names: dict[str, Key]) -> Key | None:
        """Which part of the parameters an expression is, if any."""
        if isinstance(node, ast.Name):
            return names.get(node.id)
        if isinstance(node, ast.Call):
            return () if isinstance(node.func, ast.Name) and node.func.id == "load_params" else None
        if isinstance(node, ast.Attribute):
            base = self._key(node.value, names)
            if base is not None and len(base) < 2:
                known = FIELDS[base[0]] if base else FIELDS
                return (*base, node.attr) if node.attr in known else None
        return None

    def _bind(self, target: ast.expr, value: ast.expr, names: dict[str, Key]) -> None:
        """Take `name = params.section` for another name of it; also `a, b = ..., ...`."""
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            for one_target, one_value in zip(target.elts, value.elts, strict=True):
                self._bind(one_target, one_value, names)
        elif isinstance(target, ast.Name) and (key := self._key(value, names)) is not None:
            names[target.id] = key
        else:
            self._visit(value, names)

    def _hand_over(self, callee: ast.expr, place: int | str | None, key: Key | None) -> bool:
        """Follow a section into the functions that may be meant; False where there is none."""
        if key is None or len(key) == 2:
            return False
        name = callee.attr if isinstance(callee, ast.Attribute) else getattr(callee, "id", "")
        functions = self.functions.get(name, [])
        for function in functions:
            arguments = [argument.arg for argument in function.args.args]
            named = [*arguments, *(argument.arg for argument in function.args.kwonlyargs)]
            if arguments[:1] in (["self"], ["cls"]):
                arguments = arguments[1:]
            if isinstance(place, int) and place < len(arguments):
                self.follow(function, {arguments[place]: key})
            elif place in named:
                self.follow(function, {place: key})
            else:
                return False
        return bool(functions)

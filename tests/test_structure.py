"""How the code is laid out: which layer may import which, and how long a file or a function may be."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from importlib.util import resolve_name
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = {"ifru": ROOT / "ifru", "ifrud": ROOT / "daemon" / "ifrud"}
SOURCES = [ROOT / "ifru", ROOT / "daemon", ROOT / "demo", ROOT / "benchmarks", ROOT / "examples"]

LAYERS = (
    "errors",
    "interactions",
    "kernels",
    "objective",
    "curvature",
    "solvers",
    "proof",
    "models",
    "requests",
    "engine",
    "training",
    "evaluation",
    "importing",
    "stores",
    "snapshots",
    "suppression",
    "testing",
    "cli",
    "__main__",
)
"""Parts of `ifru`: each imports only from itself and from those before it. `ifru/__init__.py` stands above them all."""

LOOSE_MODULES = 4
FILE_LINES = 400
BODY_LINES = 60

Graph = Mapping[str, set[str]]


def modules(package: str) -> dict[str, Path]:
    """Module name -> file."""
    folder = PACKAGES[package]
    found = {}
    for file in sorted(folder.rglob("*.py")):
        parts = [package, *file.relative_to(folder).with_suffix("").parts]
        found[".".join(part for part in parts if part != "__init__")] = file
    return found


def imported(name: str, file: Path, known: Mapping[str, Path]) -> set[str]:
    """What a module imports, wherever in it: modules of the package as they are named, others by their full name.

    To import a module of another package runs that package's own module, so it counts as imported too.
    """
    package = name if file.name == "__init__.py" else name.rpartition(".")[0]
    found = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = resolve_name("." * node.level + (node.module or ""), package)
            inner = {f"{base}.{alias.name}" for alias in node.names}
            found |= {each if each in known else base for each in inner}
    parents = {
        ".".join(parts[:count]) for parts in (each.split(".") for each in found) for count in range(1, len(parts))
    }
    return found | {parent for parent in parents if not f"{name}.".startswith(f"{parent}.")}


def graph(package: str) -> Graph:
    """Module -> the modules of the same package that it imports."""
    known = modules(package)
    return {name: imported(name, file, known) & known.keys() for name, file in known.items()}


def circles(edges: Graph) -> list[list[str]]:
    """Groups of modules each of which leads to all others of its group."""
    reached = {name: _reached(name, edges) for name in edges}
    groups = {tuple(sorted(other for other in there if name in reached[other])) for name, there in reached.items()}
    return sorted(list(group) for group in groups if group)


def _reached(start: str, edges: Graph) -> set[str]:
    found, ahead = set[str](), [start]
    while ahead:
        new = edges[ahead.pop()] - found
        found |= new
        ahead.extend(new)
    return found


def against_the_order(edges: Graph) -> list[str]:
    """Modules with the later layers that they import, and modules that stand in no layer."""
    place = {layer: number for number, layer in enumerate(LAYERS)}
    offenders = []
    for name, others in edges.items():
        if name == "ifru":
            continue
        layer = name.split(".")[1]
        if layer not in place:
            offenders.append(f"{name} stands in no layer")
        else:
            layers = {".".join(each.split(".")[:2]) for each in others}
            later = (each for each in layers if place.get(each.removeprefix("ifru."), len(place)) > place[layer])
            offenders += [f"{name} imports {other}" for other in sorted(later)]
    return offenders


def bodies(file: Path) -> Iterator[tuple[str, int]]:
    """Functions of a file, with the number of lines from the first statement after the docstring to the last."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node, clean=False) is not None else node.body
            if body:
                yield node.name, (body[-1].end_lineno or 0) - body[0].lineno + 1


def files() -> list[Path]:
    return [file for folder in SOURCES for file in sorted(folder.rglob("*.py"))]


def said(offenders: list[str]) -> str:
    return f"{len(offenders)} offenders:\n" + "\n".join(offenders)


def test_a_layer_imports_only_from_those_before_it() -> None:
    offenders = against_the_order(graph("ifru"))
    assert not offenders, said(offenders)


@pytest.mark.parametrize("package", ["ifru", "ifrud"])
def test_no_modules_import_each_other_in_a_circle(package: str) -> None:
    offenders = [" <-> ".join(group) for group in circles(graph(package))]
    assert not offenders, said(offenders)


def test_the_library_knows_nothing_of_the_daemon_or_the_demo() -> None:
    known = modules("ifru")
    offenders = [
        f"{name} imports {other}"
        for name, file in known.items()
        for other in imported(name, file, known)
        if other.split(".")[0] in ("ifrud", "ifrud_demo", "benchmarks", "examples")
    ]
    assert not offenders, said(offenders)


def test_the_library_has_few_modules_outside_of_its_packages() -> None:
    loose = [file.name for file in sorted((ROOT / "ifru").glob("*.py")) if file.name != "__init__.py"]
    assert len(loose) <= LOOSE_MODULES, said(loose)


def test_no_file_is_longer_than_can_be_read_at_once() -> None:
    counted = {file: len(file.read_text("utf-8").splitlines()) for file in files()}
    offenders = [f"{file.relative_to(ROOT)}: {lines}" for file, lines in counted.items() if lines > FILE_LINES]
    assert not offenders, said(offenders)


def test_no_function_is_longer_than_a_screen() -> None:
    offenders = [
        f"{file.relative_to(ROOT)}: {name}" for file in files() for name, lines in bodies(file) if lines > BODY_LINES
    ]
    assert offenders == [], said(offenders)


TREES: list[tuple[Callable[[Graph], object], Graph, object]] = [
    (circles, {"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}, [["a", "b", "c"]]),
    (circles, {"a": {"b", "c"}, "b": {"c"}, "c": set()}, []),
    (circles, {"a": {"a"}}, [["a"]]),
    (against_the_order, {"ifru.engine.push": {"ifru.cli.train"}}, ["ifru.engine.push imports ifru.cli"]),
    (against_the_order, {"ifru.engine.push": {"ifru.engine.state", "ifru.errors"}}, []),
    (against_the_order, {"ifru.engine.push": {"ifru"}}, ["ifru.engine.push imports ifru"]),
    (against_the_order, {"ifru.misc": set()}, ["ifru.misc stands in no layer"]),
]


@pytest.mark.parametrize(("rule", "edges", "found"), TREES)
def test_the_rules_tell_offenders_from_others(rule: Callable[[Graph], object], edges: Graph, found: object) -> None:
    assert rule(edges) == found


def test_imports_are_found_wherever_they_stand(tmp_path: Path) -> None:
    file = tmp_path / "near.py"
    file.write_text(
        "from typing import TYPE_CHECKING\nfrom . import base\nfrom p.b import c, word\n"
        "if TYPE_CHECKING:\n    import p.far\ndef work():\n    from p.late.deep import x\n"
    )
    known = dict.fromkeys(["p", "p.a", "p.a.base", "p.a.near", "p.b", "p.b.c", "p.far", "p.late", "p.late.deep"], file)
    found = imported("p.a.near", file, known)
    assert found - {"typing"} == {"p.a.base", "p.b", "p.b.c", "p.far", "p.late", "p.late.deep"}


def test_the_docstring_is_no_part_of_a_body(tmp_path: Path) -> None:
    file = tmp_path / "one.py"
    file.write_text('def f():\n    """One\n    two."""\n    a = 1\n\n    return a\n')
    assert list(bodies(file)) == [("f", 3)]

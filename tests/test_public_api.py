"""What a program finds in `ifru` itself: these names, quickly, and as the package's docstring says."""

from __future__ import annotations

import ast
import doctest
import subprocess
import sys
from pathlib import Path

import pytest

import ifru

NAMES = [
    "Dataset",
    "Deletion",
    "Engine",
    "EngineSettings",
    "EraseBefore",
    "EraseInteractions",
    "EraseItem",
    "EraseUser",
    "IfruError",
    "LabelRule",
    "LightGCNConfig",
    "MFConfig",
    "ModuleConfig",
    "Parameters",
    "Reader",
    "Recorded",
    "Rectify",
    "generate",
    "load_dataset",
    "open_store",
    "prove",
    "restore",
    "split",
    "train",
    "use_module",
    "verify",
    "verify_beside",
]
"""Programs of others import these: a name that is taken away breaks them."""


def test_the_names_that_others_import_stay() -> None:
    assert ifru.__all__ == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_there_and_explained(name: str) -> None:
    assert getattr(ifru, name).__doc__
    assert name in dir(ifru)
    assert name in (ifru.__doc__ or "")


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'ifru' has no attribute 'Engin'"):
        getattr(ifru, "Engin")  # noqa: B009


def test_the_example_of_the_docstring_does_what_it_says() -> None:
    outcome = doctest.testmod(ifru)
    assert outcome.attempted > 5
    assert outcome.failed == 0


@pytest.mark.parametrize("module", ["ifru", "ifrud.cli"])
def test_what_starts_fast_does_not_import_torch(module: str) -> None:
    program = f"import sys, {module}; print(sorted({{'torch', 'numba'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_conformance_suite_is_public_and_alone_needs_pytest() -> None:
    program = (
        "import sys, ifru.cli.train, ifru; print('pytest' in sys.modules); import ifru.testing as t; print(*t.__all__)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "Conformance"]


def test_editors_see_the_names_where_they_are_imported_from() -> None:
    tree = ast.parse(Path(str(ifru.__file__)).read_text("utf-8"))
    imports = (node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module)
    seen = {alias.name: node.module for node in imports for alias in node.names}
    for name in NAMES:
        module = seen[name]
        assert module is not None
        assert getattr(ifru, name) is getattr(__import__(module, fromlist=[name]), name)

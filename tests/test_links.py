"""Links between the documents, and from them to the code, lead somewhere; so do names in the reading order."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCUMENTS = [
    *sorted(ROOT.glob("*.md")),
    *(each for folder in ("docs", "benchmarks", "deploy") for each in sorted((ROOT / folder).rglob("*.md"))),
]
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def dead(document: Path) -> list[str]:
    """Relative links of a document to files that are not there, or to headings that are not in them."""
    links = (link for link in _LINK.findall(document.read_text("utf-8")) if "://" not in link)
    return [link for link in links if not _leads_somewhere(document, link)]


def _leads_somewhere(document: Path, link: str) -> bool:
    path, _, heading = link.partition("#")
    target = document.parent / path if path else document
    if not heading or not target.is_file():
        return target.exists()
    return heading in {_anchor(each) for each in _HEADING.findall(target.read_text("utf-8"))}


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(document: Path) -> None:
    assert dead(document) == []


def test_a_link_that_leads_nowhere_is_found(tmp_path: Path) -> None:
    (tmp_path / "other.md").write_text("# One: two\n")
    page = tmp_path / "page.md"
    page.write_text(
        "[a](other.md) [b](other.md#one-two) [c](gone.md) [d](other.md#three) [e](https://x.org/y) ![f](no.png)"
    )
    assert dead(page) == ["gone.md", "other.md#three", "no.png"]


def methods() -> set[str]:
    """Every Class.method of the library and the daemon."""
    files = (file for folder in ("ifru", "daemon") for file in (ROOT / folder).rglob("*.py"))
    nodes = (node for file in files for node in ast.walk(ast.parse(file.read_text("utf-8"))))
    classes = (node for node in nodes if isinstance(node, ast.ClassDef))
    return {
        f"{each.name}.{inner.name}" for each in classes for inner in each.body if isinstance(inner, ast.FunctionDef)
    }


def test_the_reading_order_names_what_is_there() -> None:
    named = re.findall(r"`([^`]+)`", (ROOT / "docs" / "reading-order.md").read_text("utf-8"))
    assert {each for each in named if re.fullmatch(r"[A-Z]\w+\.\w+", each)} <= methods()
    assert [each for each in named if "/" in each and not (ROOT / each).exists()] == []

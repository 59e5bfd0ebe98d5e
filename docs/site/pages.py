"""Makes the pages of the documentation site: the documents of the repository, and what is told by the code.

A hook of MkDocs. Documents keep their paths; a link to a file that is no document leads to a page that shows it.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import reference
from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
RUNBOOKS = "deploy/runbooks/"
SOURCES = "source"
"""Folder of the site for files that documents lead to."""

_FOLDERS = ("docs", "deploy", "benchmarks")
_LINK = re.compile(r"(?<=\]\()(?!\w+:)([^)#\s]+)(#[^)\s]*)?(?=\))")
_FORMULA = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)
_PICTURES = {".png", ".svg"}
_LANGUAGES = {".py": "python", ".yml": "yaml", ".yaml": "yaml", ".json": "json"}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """List the runbooks where the navigation names their folder."""
    books = [path for path in documents() if path.startswith(RUNBOOKS) and path[len(RUNBOOKS)].isupper()]
    for part in config.nav:
        for pages in part.values():
            for page in pages if isinstance(pages, list) else ():
                if isinstance(page, dict) and page.get("Runbooks") == RUNBOOKS:
                    page["Runbooks"] = books
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add all pages."""
    texts = {path: (ROOT / path).read_text("utf-8") for path in documents()}
    texts |= reference.pages()
    linked = {target for path, text in texts.items() for target in targets(path, text) if target not in texts}
    for target in sorted(linked):
        if Path(target).suffix in _PICTURES:
            files.append(File.generated(config, target, abs_src_path=str(ROOT / target)))
        elif (ROOT / target).is_file():
            texts[_source(target)] = _shown(target)
    for path, text in texts.items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead links to files of the repository to the pages that show them."""
    here = page.file.src_uri

    def led(match: re.Match[str]) -> str:
        target = _target(here, match[1])
        shown = _source(target)
        if files.get_file_from_path(target) is None and files.get_file_from_path(shown) is not None:
            return posixpath.relpath(shown, posixpath.dirname(here))
        return match[0]

    return _LINK.sub(led, markdown)


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Write formulas as MathML, which browsers show without a script."""
    return _FORMULA.sub(
        lambda found: convert(unescape(found[2]), display="block" if found[1] == "div" else "inline"), html
    )


def documents() -> list[str]:
    """Paths of all documents of the repository."""
    found = [file for folder in _FOLDERS for file in sorted((ROOT / folder).rglob("*.md"))]
    return ["README.md", *(file.relative_to(ROOT).as_posix() for file in found)]


def targets(path: str, text: str) -> Iterator[str]:
    """Paths that the links of a document lead to."""
    return (_target(path, match[1]) for match in _LINK.finditer(text))


def _target(path: str, link: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), link))


def _source(path: str) -> str:
    return f"{SOURCES}/{path}.md"


def _shown(path: str) -> str:
    language = _LANGUAGES.get(Path(path).suffix, "text")
    return f"# {path}\n\n````{language}\n{(ROOT / path).read_text('utf-8')}````\n"

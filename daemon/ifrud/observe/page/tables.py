"""Tables and lists of the status page. What is given as a cell is text, unless it is `Markup`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


class Markup(str):
    """HTML that was made here, and is not escaped again."""

    __slots__ = ()


def markup(text: str) -> str:
    """Text as HTML."""
    return text if isinstance(text, Markup) else escape(text)


def table(caption: str, columns: Sequence[str], rows: Iterable[tuple[str, Sequence[str]]]) -> str:
    """Rows, each with a class of its own, and its cells. The first cell is the row's heading.

    columns: their names; one that starts with # holds numbers, an empty one a bar.
    """
    kinds = ["number" if name.startswith("#") else "" if name else "wide" for name in columns]
    head = "".join(
        f'<th scope="col" class="{kind}">{escape(name.lstrip("#"))}</th>' if name else "<td></td>"
        for name, kind in zip(columns, kinds, strict=True)
    )
    body = "".join(
        f'<tr class="{kind}"><th scope="row" class="{kinds[0]}">{markup(cells[0])}</th>'
        + "".join(f'<td class="{each}">{markup(cell)}</td>' for cell, each in zip(cells[1:], kinds[1:], strict=True))
        + "</tr>"
        for kind, cells in rows
    )
    return (
        f'<div class="scroll"><table><caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def facts(rows: Iterable[tuple[str, str]]) -> str:
    """Names and what they are."""
    body = "".join(f'<tr><th scope="row">{escape(name)}</th><td>{markup(value)}</td></tr>' for name, value in rows)
    return f'<div class="scroll"><table><tbody>{body}</tbody></table></div>'


def tile(name: str, value: str, note: str) -> str:
    """One figure, large."""
    return (
        f'<div class="tile"><dt>{escape(name)}</dt><dd class="value">{escape(value)}</dd>'
        f'<dd class="note">{escape(note)}</dd></div>'
    )


def section(title: str, body: str, kind: str = "") -> str:
    """A part of the page."""
    return f'<section class="{kind}"><h2>{escape(title)}</h2>{body}</section>'

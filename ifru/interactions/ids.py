"""External ids of one side: strings outside, row numbers inside."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


class Ids:
    """A bijection between external ids (strings) and the rows of a parameter table.

    A row whose entity was erased keeps its number and loses its id: `name(row)` is then None.
    """

    def __init__(self, names: Iterable[str | None]) -> None:
        self._names: list[str | None] = list(names)
        self._rows = {name: row for row, name in enumerate(self._names) if name is not None}

    def __len__(self) -> int:
        """Number of rows, erased ones included."""
        return len(self._names)

    def __iter__(self) -> Iterator[str | None]:
        return iter(self._names)

    def row(self, name: str) -> int | None:
        """The row of an external id; None where there is no such entity (any more)."""
        return self._rows.get(name)

    def name(self, row: int) -> str | None:
        """The external id of a row; None once it was erased."""
        return self._names[row]

    def forget(self, row: int) -> None:
        """Drop the external id of a row. Dropping it twice is no error."""
        name = self._names[row]
        if name is not None:
            self._names[row] = None
            del self._rows[name]

    def copy(self) -> Ids:
        return Ids(self._names)

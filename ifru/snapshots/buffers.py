"""What a version holds besides its parameters so that an engine goes on with exactly the same debt.

`offset.<table>` and `offset.shared.<name>`: the constant that the gradient is counted from. `debt.<table>` and
`debt.shared.<name>`: what is owed, of models that answer by a response. Of the shape of the parameters each.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from torch import Tensor

from ifru.objective.parameters import Parameters
from ifru.snapshots.errors import CorruptFile
from ifru.snapshots.version import Version

Kind = Literal["offset", "debt"]


def as_buffers(kinds: Mapping[Kind, Parameters | None]) -> dict[str, Tensor]:
    """Under the names of the format."""
    found: dict[str, Tensor] = {}
    for kind, of in kinds.items():
        if of is not None:
            found |= {f"{kind}.{name}": table for name, table in of.tables.items()}
            found |= {f"{kind}.shared.{name}": tensor for name, tensor in of.shared.items()}
    return found


def from_buffers(version: Version, kind: Kind) -> Parameters | None:
    """What a version holds of a kind; None where there is nothing. Raises CorruptFile for what does not fit it."""
    if not any(name.startswith(f"{kind}.") for name in version.buffers):
        return None
    expected = as_buffers({kind: version.parameters})
    found = {name: tensor for name, tensor in version.buffers.items() if name.startswith(f"{kind}.")}
    wrong = sorted(
        name
        for name in expected.keys() | found.keys()
        if name not in found or name not in expected or found[name].shape != expected[name].shape
    )
    if wrong:
        file = version.manifest.find("buffers")
        where = "buffers" if file is None else file.path
        raise CorruptFile(where, f"does not fit the parameters in {', '.join(wrong)}")
    tables = {name: found[f"{kind}.{name}"] for name in version.parameters.tables}
    return Parameters(tables, {name: found[f"{kind}.shared.{name}"] for name in version.parameters.shared})

"""What a version holds besides its parameters so that an engine whose answers are responses owes what it did.

`debt.<table>` and `debt.shared.<name>`, of the shape of the parameters each, among the buffers.
"""

from __future__ import annotations

from torch import Tensor

from ifru.objective.parameters import Parameters
from ifru.snapshots.errors import CorruptFile
from ifru.snapshots.version import Version


def debt_buffers(debt: Parameters | None) -> dict[str, Tensor]:
    """Under the names of the format."""
    if debt is None:
        return {}
    shared = {f"debt.shared.{name}": tensor for name, tensor in debt.shared.items()}
    return {f"debt.{name}": table for name, table in debt.tables.items()} | shared


def debt_of(version: Version) -> Parameters | None:
    """What a version owes; None where its answers are no responses. Raises CorruptFile for what does not fit it."""
    found = {name: tensor for name, tensor in version.buffers.items() if name.startswith("debt.")}
    if not found:
        return None
    shapes = [
        {name: tensor.shape for name, tensor in each.items()} for each in (found, debt_buffers(version.parameters))
    ]
    if shapes[0] != shapes[1]:
        wrong = sorted(name for name in shapes[0] | shapes[1] if shapes[0].get(name) != shapes[1].get(name))
        file = version.manifest.find("buffers")
        where = "buffers" if file is None else file.path
        raise CorruptFile(where, f"does not fit the parameters in {', '.join(wrong)}")
    tables = {name: found[f"debt.{name}"] for name in version.parameters.tables}
    return Parameters(tables, {name: found[f"debt.shared.{name}"] for name in version.parameters.shared})

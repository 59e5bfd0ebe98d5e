"""A version in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from ifru.interactions import Dataset
from ifru.objective.parameters import Parameters
from ifru.snapshots.errors import CorruptFile
from ifru.snapshots.format import Manifest, manifest_path
from ifru.snapshots.parquet import living
from ifru.snapshots.tensors import Delta, named_tensors, tables_of


@dataclass(frozen=True)
class Version:
    """A version, read and verified. parameters: on the CPU, as they are stored. dataset: without what was deleted.

    propagated: what scores pairs where it is not the parameters. buffers: of a module. stored_features: side -> table.
    """

    manifest: Manifest
    parameters: Parameters
    dataset: Dataset
    propagated: Parameters | None = None
    buffers: Mapping[str, Tensor] = field(default_factory=dict)
    stored_features: Mapping[str, pa.Table] = field(default_factory=dict)

    @property
    def serving(self) -> Parameters:
        """What scores pairs."""
        return self.propagated or self.parameters

    @property
    def features(self) -> dict[str, pa.Table]:
        """`user` or `item` -> a table with a column `row`, without erased entities."""
        ids = {"user": self.dataset.users, "item": self.dataset.items}
        return {side: living(table, ids[side]) for side, table in self.stored_features.items()}

    def arrays(self, serving: bool = False) -> dict[str, NDArray[np.generic]]:
        """The parameters, or what scores pairs, for NumPy, under the names of the format.

        bfloat16, which NumPy does not have, comes as float32.
        """
        tensors = named_tensors(self.serving if serving else self.parameters, self.manifest.model)
        return {
            name: (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).contiguous().numpy()
            for name, tensor in tensors.items()
        }

    def copy(self) -> Version:
        """An independent version; row positions stay the same."""
        return replace(self, parameters=self.parameters.to("cpu", copy=True), dataset=self.dataset.copy())


def replay(version: Version, manifest: Manifest, delta: Delta) -> Version:
    """The version that a delta leads to. It takes the memory of the one before, which is not to be used any more.

    What scores pairs is not known then. Raises CorruptFile where the delta does not fit the version before it, or its
    manifest, and ForkedHistory where it was written after another one.
    """
    manifest.check_follows(version.manifest)
    try:
        parameters = delta.update.applied(version.parameters)
        version.dataset.delete(delta.deletion)
    except (RuntimeError, IndexError) as error:
        raise CorruptFile(manifest.file("delta").path, "does not fit the version before it") from error
    return checked(replace(version, manifest=manifest, parameters=parameters, propagated=None))


def checked(version: Version) -> Version:
    """Raises CorruptFile where the tables and rows of a version are not what its manifest says."""
    manifest, dataset = version.manifest, version.dataset
    # A chain that began in format 1 says nothing of its tables.
    if manifest.tables and (tables := tables_of(version.parameters)) != manifest.tables:
        raise CorruptFile(manifest_path(manifest.version), f"does not name the tables that it has: {tables}")
    rows = [[len(table) for table in each.tables.values()] for each in (version.parameters, version.serving)]
    if rows[0] != rows[1]:
        raise CorruptFile(manifest.file("serving").path, f"has {rows[1]} rows, the parameters {rows[0]}")
    left, said = (dataset.train.retained, dataset.holdout.retained), (manifest.retained, manifest.holdout)
    if left != said:
        file = manifest.file("train" if manifest.kind == "full" else "delta")
        raise CorruptFile(file.path, f"leaves {left} rows to train and test on, not {said} as its manifest says")
    return version

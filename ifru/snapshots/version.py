"""A version in memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ifru.interactions import Dataset
from ifru.objective.parameters import Parameters
from ifru.snapshots.errors import CorruptFile
from ifru.snapshots.format import Manifest
from ifru.snapshots.tensors import Delta, named_arrays


@dataclass(frozen=True)
class Version:
    """A version, read and verified. tables: on the CPU, float32. dataset: without what was deleted."""

    manifest: Manifest
    tables: Parameters
    dataset: Dataset

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """The parameters for NumPy, under the names of the format; without biases they share the tables' memory."""
        return named_arrays(self.tables, self.manifest.model)

    def copy(self) -> Version:
        """An independent version; row positions stay the same."""
        return Version(
            self.manifest, Parameters.of(self.tables.user.clone(), self.tables.item.clone()), self.dataset.copy()
        )


def replay(version: Version, manifest: Manifest, delta: Delta) -> Version:
    """The version that a delta leads to. It takes the memory of the one before, which is not to be used any more.

    Raises CorruptFile where the rows that are left are not as many as the manifest says.
    """
    for table, part in ((version.tables.user, delta.user), (version.tables.item, delta.item)):
        table.numpy()[part.rows] = part.values
    version.dataset.delete(delta.deletion)
    return checked(Version(manifest, version.tables, version.dataset))


def checked(version: Version) -> Version:
    """Raises CorruptFile where the rows of a version are not as many as its manifest says."""
    manifest, dataset = version.manifest, version.dataset
    left, said = (dataset.train.retained, dataset.holdout.retained), (manifest.retained, manifest.holdout)
    if left != said:
        file = manifest.file("train" if manifest.kind == "full" else "delta")
        raise CorruptFile(file.path, f"leaves {left} rows to train and test on, not {said} as its manifest says")
    return version

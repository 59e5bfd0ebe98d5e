"""What was proven while a load came, from the manifests of its versions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from ifru.snapshots import Manifest
from ifrud.prover import RMS_BOUND


@dataclass(frozen=True)
class Proofs:
    """versions: how many were proven. known_after: seconds from the first version of the run to the first that says a
    bound. oldest: most seconds that the version was old that the bound was of. rms_bound: the last.

    None where nothing was proven.
    """

    versions: int = 0
    known_after: float | None = None
    oldest: float | None = None
    rms_bound: float | None = None

    @staticmethod
    def of(manifests: Sequence[Manifest]) -> Proofs:
        """Of the versions of a run, in their order."""
        saying = [manifest for manifest in manifests if manifest.proof is not None]
        if not saying:
            return Proofs()
        ages = [
            (after.time - before.proof.time).total_seconds()
            for before, after in pairwise(saying)
            if before.proof is not None and RMS_BOUND not in before.quality
        ]
        found = [manifest.proof for manifest in saying if manifest.proof is not None]
        known = (saying[0].time - manifests[0].time).total_seconds()
        return Proofs(len({each.version for each in found}), known, max(ages, default=0.0), found[-1].rms_bound)

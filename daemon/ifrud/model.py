"""The model that the engine thread owns: the newest version, and how it becomes the next one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ifru.curvature.cache import Counters
from ifru.engine.engine import Engine, UpdateFailed
from ifru.engine.update import Settled, Update
from ifru.errors import DataError, IfruError
from ifru.interactions import Dataset, Deletion
from ifru.objective.parameters import Parameters, ParameterUpdate
from ifru.snapshots import (
    NOBODY,
    Change,
    Event,
    FullState,
    Holding,
    Manifest,
    ProvenBound,
    Reader,
    Remembered,
    Residual,
    Source,
    Suppressed,
    Version,
    Writer,
    debt_buffers,
)
from ifru.suppression import Suppression
from ifrud.full_versions import FullVersions

NOTHING_DELETED = "nothing was deleted"
ADOPTED = "nothing moved, it was adopted"
PROVEN = "nothing moved, it was proven"
NO_QUALITY: Mapping[str, float] = {}


class UnfitCandidate(IfruError):
    """A candidate that cannot become a version."""


class Model:
    """The newest version in memory, with the writer of the next.

    reader: of the versions that the writer writes. engine_of: an engine on a version that was read. settled: what the
    newest version owes. full_versions: which are full; the others are deltas. suppression: who was erased up to the
    newest version.
    """

    def __init__(
        self,
        newest: Version,
        reader: Reader,
        writer: Writer,
        engine_of: Callable[[Version], Engine],
        full_versions: FullVersions,
        suppression: Suppression,
    ) -> None:
        self.manifest = newest.manifest
        self._reader = reader
        self._writer = writer
        self._engine_of = engine_of
        self.full_versions = full_versions
        self.suppression = suppression
        self.proof: ProvenBound | None = None
        """What the next manifest says of an older version, or of this one."""
        self._counted = Counters()
        self._own(newest)

    @property
    def dataset(self) -> Dataset:
        return self.engine.dataset

    @property
    def counters(self) -> Counters:
        """What the curvature cache has done since the daemon started."""
        return self._counted + self.engine.counters

    def forget(self, deletion: Deletion) -> Update | None:
        """Delete rows and move the parameters; None where there is nothing to delete.

        Raises UpdateFailed: nothing is deleted then, but rows are numbered anew, as in the newest version's files.
        """
        return self._or_reload(lambda: self.engine.apply(deletion)) if len(deletion) else None

    def refine(self, stop: Callable[[], bool]) -> Update | None:
        """Pay off debt without deleting; None where there is nothing left to gain. Raises as `forget` does."""
        return self._or_reload(lambda: self.engine.refine(stop))

    def publish(
        self,
        update: Update | None,
        positions: Mapping[str, Source],
        events: Sequence[Event],
        receipts: Sequence[bytes],
        quality: Mapping[str, float] = NO_QUALITY,
        answered: Remembered | None = None,
        purged: int = 0,
        holding: Holding | None = None,
        added: Suppressed = NOBODY,
        candidate: str | None = None,
    ) -> Manifest:
        """Commit the version after the newest. answered: what it stores of older requests. purged: up to which version
        its receipts say so. holding: of the brake.

        added: what it adds to the suppression list. candidate: the name of the one that was adopted.

        Where it answers requests `hint` is to be called once their receipts are sent.
        Raises StoreError, CommitLost or CommitUnknown.
        """
        return self._commit(
            Change(
                update=ParameterUpdate({}) if update is None else update.parameters,
                deletion=Deletion.nothing() if update is None else update.deletion,
                positions=positions,
                events=events,
                residual=self._residual(update, ADOPTED if candidate else PROVEN if quality else NOTHING_DELETED),
                receipts=receipts,
                quality=quality,
                answered=answered,
                purged=purged,
                holding=holding,
                suppressed=added,
                candidate=candidate,
            )
        )

    def restate(self, receipts: Sequence[bytes], answered: Remembered | None, purged: int) -> Manifest:
        """Commit a version that is the newest once more: for its receipts, or written anew without erased rows.

        Raises as `publish` does.
        """
        return self._commit(replace(self._unchanged({}), receipts=receipts, answered=answered, purged=purged))

    def adopt(self, candidate: Version) -> Update | None:
        """Go on from a candidate, and erase from it everybody on the suppression list; None where nobody is in it.

        The next version must be full. Raises UnfitCandidate: the newest version is in memory then, as it is stored.
        """
        try:
            self._drop()
            self._own(candidate)
            deletion = self.suppression.rows(self.dataset)
            if len(deletion.train) == self.dataset.train.retained:
                raise DataError("all rows to train on are of users, items and pairs that were erased")
            return self.engine.apply(deletion) if len(deletion) else None
        except (IfruError, ArithmeticError) as error:
            reason = str(error)
        self._reload()
        raise UnfitCandidate(reason)

    def claim(self, positions: Mapping[str, Source]) -> Manifest:
        """Commit a version that is the newest once more, so that whoever wrote that commits nothing any more.

        What was found out about the newest holds for it too. positions: where sources are read on, if somewhere else.
        Raises as `publish` does.
        """
        return self._commit(replace(self._unchanged(positions), claim=True))

    def hint(self) -> None:
        """Tell readers of the newest version, if they were not told."""
        self._writer.hint()

    def settle(self) -> Settled:
        """Bring the debt up to date, and say what the newest version really owes."""
        self.settled = self.engine.settle()
        return self.settled

    def _unchanged(self, positions: Mapping[str, Source]) -> Change:
        """A version that is the newest once more. What was found out about that holds for it too."""
        owed = {"settled": self.settled.influence, "total": self.settled.total}
        return Change(
            update=ParameterUpdate({}),
            deletion=Deletion.nothing(),
            positions=positions,
            events=(),
            residual=self.manifest.residual.model_copy(update=owed),
            quality=self.manifest.quality,
        )

    def _own(self, newest: Version) -> None:
        """Work on a version that was just read."""
        self._buffers, self._features = newest.buffers, newest.features
        self.engine = self._engine_of(newest)
        self.settled = self.engine.settle()

    def _or_reload(self, work: Callable[[], Update | None]) -> Update | None:
        """An engine that has failed is lost: the newest version takes its place, as the store has it."""
        try:
            return work()
        except UpdateFailed as error:
            reason = error.reason
        self._reload()
        raise UpdateFailed(reason)

    def _reload(self) -> None:
        self._drop()
        self._own(self._reader.load(self.manifest.version))
        self._writer.reloaded()

    def _drop(self) -> None:
        """So that nothing refers to the old engine any more when a new one is built."""
        if (engine := vars(self).pop("engine", None)) is not None:
            self._counted += engine.counters

    def _commit(self, change: Change) -> Manifest:
        parameters, serving = self.engine.parameters, self.engine.serving
        buffers = self._changed_buffers()
        due = self.full_is_due(erases=len(change.deletion) > 0) and not change.claim
        full = self._full(parameters, serving) if due or change.candidate is not None else None
        suppression = self.suppression.after(change.suppressed)
        suppressed = change.suppressed if full is None else suppression.whole
        change = replace(change, serving=serving, buffers=buffers, full=full, suppressed=suppressed, proof=self.proof)
        self.manifest = self._writer.commit(self.manifest, change, hint=not change.events)
        self.suppression, self.proof = suppression, None
        return self.manifest

    def _residual(self, update: Update | None, otherwise: str) -> Residual:
        carried = self.engine.carried
        return Residual(
            influence=None if update is None else update.influence,
            settled=self.settled.influence,
            total=self.settled.total,
            batch_energy=carried.batch,
            added_energy=carried.added,
            method="none" if update is None else update.method,
            reason=otherwise if update is None else update.reason,
        )

    def full_is_due(self, erases: bool) -> bool:
        """Whether the next version is a full one. erases: whether it erases anything."""
        return self.full_versions.due(self.manifest, erases)

    def _full(self, parameters: Parameters, serving: Parameters | None) -> FullState:
        return FullState(self.engine.config, parameters, self.dataset, serving, self._buffers, self._features)

    def _changed_buffers(self) -> Mapping[str, Tensor] | None:
        """All buffers of the next version; None where they are those of the newest."""
        found = debt_buffers(self.engine.debt)
        changed = {
            name: tensor.cpu().clone()
            for name, tensor in found.items()
            if name not in self._buffers or not torch.equal(tensor.cpu(), self._buffers[name])
        }
        self._buffers = {**self._buffers, **changed}
        return self._buffers if changed else None

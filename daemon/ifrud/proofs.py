"""Which version is proven next, and what becomes of its proof."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from ifru.models import model_of
from ifru.proof import ProofError
from ifru.snapshots import ProvenBound
from ifrud.memory import ProofTooLarge
from ifrud.model import Model
from ifrud.observe.report import Reporter
from ifrud.prover import RELATIVE_GAP, RMS_BOUND, Proven, Prover
from ifrud.requests.proven import RequestProofs
from ifrud.requests.unproven import RequestProven, Unproven

LOOSER = 2.0
"""A first bound that is looser than the one before by more than this waits until it is as tight as it gets."""


class Proofs:
    """Versions are proven one at a time, the newest next, and then the requests that they have answered.

    share: of the machine that a proof takes while events come; with 0 they end it. publish(quality): publishes a
    version that moves nothing and says what is known of the newest.
    """

    def __init__(
        self,
        model: Model,
        prover: Prover,
        requests: RequestProofs,
        reporter: Reporter,
        publish: Callable[[Mapping[str, float]], None],
        share: float,
    ) -> None:
        self._model, self._prover, self._requests, self._reporter = model, prover, requests, reporter
        self._publish, self._share = publish, share
        self._looked = not requests.wanted
        """Whether it was looked for requests of processes before this one."""
        self._started: tuple[int, datetime] | None = None
        self._found: Proven | None = None
        self._failed: int | None = None

    def hold_back(self) -> None:
        """Events have come: they lead to other versions, and need the machine."""
        self._prover.hold_back(self._share)

    def give_up(self) -> None:
        """The newest version has become another model."""
        self._prover.give_up()

    def beside(self) -> None:
        """Beside events: what is proven waits for the next version, and the newest is proven next."""
        self._take()
        if self._share > 0 and self._failed is None:
            self._start()

    def idle(self) -> None:
        """In idle time: publish what is proven about the newest version, which is proven next."""
        self._prover.let_go()
        self._take()
        found, self._found = self._found, None
        if found is not None and found.version == self._model.manifest.version:
            self._publish(found.quality)
        elif self._failed != self._model.manifest.version:
            self._start()

    def _start(self) -> None:
        """Begin with the newest version, unless all is proven, a proof is in hand, or there is no room for one."""
        model, newest = self._model, self._model.manifest
        if self._prover.busy or not model_of(newest.model).capabilities.provable:
            return
        requests, known = self._requests.waiting, RMS_BOUND in newest.quality
        if known and not requests and self._looked:
            return
        self._started = newest.version, newest.time
        engine, earlier = model.engine, tuple if self._looked else self._requests.earlier
        config, tables, owes = engine.config, engine.parameters, model.settled.total
        try:
            self._prover.start(newest.version, config, tables, model.dataset, requests, known, owes, earlier)
            self._looked = True
        except ProofTooLarge as error:
            self._not_proven(error)

    def _take(self) -> None:
        """Take what is proven, once: a manifest is never written twice, so the next one says it."""
        try:
            while (found := self._prover.result()) is not None:
                if isinstance(found, RequestProven):
                    self._requests.found(found)
                elif isinstance(found, Unproven):
                    self._requests.found_earlier(found)
                else:
                    self._proven(found)
        except ProofError as error:
            self._not_proven(error)

    def _proven(self, found: Proven) -> None:
        assert self._started is not None
        version, time = self._started
        bound, gap = found.quality[RMS_BOUND], found.quality[RELATIVE_GAP]
        known = self._model.proof or self._model.manifest.proof
        if found.final or known is None or bound <= LOOSER * known.rms_bound:
            self._model.proof = ProvenBound(version=version, time=time, rms_bound=bound, relative_gap=gap)
        if found.final:
            self._found, self._failed = found, None

    def _not_proven(self, error: ProofError) -> None:
        """A version about which nothing can be proven is left as it is."""
        assert self._started is not None
        self._failed, _ = self._started
        self._reporter.proof_failed(self._failed, error)

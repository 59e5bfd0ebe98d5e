"""What a demo comes to: figures for programs, and sentences for people."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from ifru.training import TrainedModel
from ifru.verify import BySet, Verification
from ifrud.demo.data import Data
from ifrud.demo.screen import milliseconds, share
from ifrud.demo.watch import Seen


@dataclass(frozen=True)
class Outcome:
    """found: the last version, held against retraining. seconds_train, seconds_total: of the demo itself."""

    data: Data
    trained: TrainedModel
    seen: Seen
    found: Verification
    seconds_train: float
    seconds_total: float

    def document(self) -> dict[str, object]:
        """For programs. seconds.update: of one update, on average; seconds.updates: of all of them."""
        seen, found, config = self.seen, self.found, self.trained.config
        last = seen.published[-1]
        states = [receipt.state for receipt in seen.receipts.values()]
        return {
            "data": self.data.name,
            "model": {"name": config.name, "rank": config.rank, "l2": config.l2, "verdict": self.trained.verdict},
            "requests": found.requests,
            "nothing_to_erase": states.count("nothing_to_erase"),
            "dead_letters": len(seen.reasons),
            "deletions": found.deletions,
            "versions": last.version - 1,
            "latency_ms": {f"p{percent}": _ms(seen.latency(percent)) for percent in (50, 99)},
            "residual_influence": last.settled,
            "residual_influence_total": last.total,
            "left": asdict(found.left),
            "floor": asdict(found.floor),
            "auc": asdict(found.auc),
            "rms": asdict(found.rms),
            "seconds": {
                "update": found.seconds.update,
                "updates": sum(self._updates),
                "retrain": found.seconds.retrain,
                "train": self.seconds_train,
                "total": self.seconds_total,
            },
        }

    @property
    def _updates(self) -> list[float]:
        return updates(self.seen)

    def facts(self) -> dict[str, str]:
        """For people: the figures."""
        seen, found = self.seen, self.found
        auc, unknown = found.auc, found.unknown
        return {
            "requests": f"{found.requests:,} answered, {unknown:,} of them had nothing to erase",
            "dead letters": f"{len(seen.reasons):,} ({'; '.join(seen.reasons)})",
            "deleted": f"{found.deletions:,} ratings",
            "versions": f"{seen.published[-1].version - 1:,}",
            "latency": f"p50 {milliseconds(seen.latency(50))}, p99 {milliseconds(seen.latency(99))}",
            "left": _by_set(found.left),
            "two retrains": _by_set(found.floor),
            "AUC, held out": f"{_auc(auc.before)} before, {_auc(auc.after)} after, {_auc(auc.retrained)} retrained",
            "predictions": f"{found.rms.true:.1e} RMS from the retrained model, proven at most {found.rms.bound:.1e}",
            "seconds": f"{found.seconds.update:.2g} an update, {found.seconds.retrain:.2g} a retrain, "
            f"{self.seconds_total:.0f} in all",
        }

    def sentences(self) -> list[str]:
        """For people: what the figures say."""
        found, seen = self.found, self.seen
        said = [
            f"Each request was answered by a version that no longer holds what it names; half of the answers came "
            f"within {milliseconds(seen.latency(50))}, 99 of 100 within {milliseconds(seen.latency(99))}.",
            f"Retraining from scratch without the deleted ratings changes the model's scores. Of that change the last "
            f"version still lacks {_shares(found.left)}.",
            f"An update took {milliseconds(found.seconds.update)} on average, retraining "
            f"{milliseconds(found.seconds.retrain)}: {share(found.seconds.update / found.seconds.retrain)} of the cost.",
            f"It is proven, without retraining, that the version's predicted probabilities are within "
            f"{found.rms.bound:.1e} (root mean square) of the exactly retrained model's; measured: {found.rms.true:.1e}.",
        ]
        if not self.trained.ready:
            said.append(f"Take care: the model is {self.trained.verdict}.")
        return said


def updates(seen: Seen) -> list[float]:
    """Seconds of each update that deleted something."""
    return [each.seconds for each in seen.published if each.deleted]


_NAMES = {"forget": "forgotten", "neighbours": "neighbouring", "holdout": "held out"}


def _by_set(shares: BySet) -> str:
    return ", ".join(f"{share(getattr(shares, name))} {called}" for name, called in _NAMES.items())


def _shares(left: BySet) -> str:
    known = {"forget": "on the forgotten pairs", "holdout": "on held-out pairs"}
    said = [f"{share(value)} {name}" for key, name in known.items() if (value := getattr(left, key)) is not None]
    return " and ".join(said) or "nothing that can be measured"


def _auc(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else 1000 * seconds

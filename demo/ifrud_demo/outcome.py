"""The result of a demo: figures for programs, and sentences for people."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from rich.table import Table

from ifru.cli.beside import conclusion, side_by_side
from ifru.evaluation.beside import Beside
from ifru.evaluation.verify import Verification
from ifru.training import TrainedModel
from ifrud_demo.data import Data
from ifrud_demo.screen import latency, milliseconds, share
from ifrud_demo.watch import Seen


@dataclass(frozen=True)
class Outcome:
    """answered: the last version that answers a request, compared with retraining; with several retrained models where
    they have no unique outcome.

    refined: the same for the version that idle time has made of it; None where nothing was left to gain, and where
    there are several.
    training_seconds, total_seconds: of the demo itself.
    """

    data: Data
    trained: TrainedModel
    seen: Seen
    answered: Verification | Beside
    refined: Verification | None
    training_seconds: float
    total_seconds: float

    def document(self) -> dict[str, object]:
        """For programs. seconds.update: of one update, on average; seconds.updates: of all of them."""
        seen, answered, refined, config = self.seen, self.answered, self.refined, self.trained.config
        states = [receipt.state for receipt in seen.receipts.values()]
        return {
            "data": self.data.name,
            "model": {"name": config.name, "rank": config.rank, "l2": config.l2, "verdict": self.trained.verdict},
            "requests": answered.requests,
            "nothing_to_erase": states.count("nothing_to_erase"),
            "dead_letters": len(seen.reasons),
            "deletions": answered.deletions,
            "versions": seen.counts,
            "latency_ms": {f"p{percent}": _ms(seen.latency(percent)) for percent in (50, 99)},
            **_figures(answered),
            "refined": None if refined is None else _figures(refined) | {"seconds": refined.seconds.update},
            "seconds": {
                "update": answered.seconds.update,
                "updates": sum(seen.updates),
                "retrain": answered.seconds.retrain,
                "train": self.training_seconds,
                "total": self.total_seconds,
            },
        }

    def facts(self) -> dict[str, str]:
        """For people: what happened."""
        seen, answered = self.seen, self.answered
        kinds = [f"{count:,} {kind}{'s' * (count != 1)}" for kind, count in seen.counts.items() if count]
        return {
            "requests": f"{answered.requests:,}, of which {answered.unknown:,} had nothing to erase",
            "dead letters": f"{len(seen.reasons):,} ({'; '.join(seen.reasons)})",
            "deleted": f"{answered.deletions:,} rows",
            "versions": f"{len(seen.versions):,}: {', '.join(kinds)}",
            "latency": latency(seen),
        }

    def comparison(self) -> Table:
        """For people: how near the versions are to the retrained model."""
        answered = self.answered
        if isinstance(answered, Beside):
            return side_by_side(answered)
        versions = {"as answered": answered, "after idle time": self.refined}
        compared = {name: found for name, found in versions.items() if found is not None}
        table = Table(box=None, pad_edge=False)
        for heading in ("", *compared, "retrained"):
            table.add_column(heading, overflow="fold")
        for name, called in {"forget": "forgotten", "neighbours": "neighbours", "holdout": "held out"}.items():
            left = (share(getattr(found.left, name)) for found in compared.values())
            table.add_row(f"left, {called}", *left, share(getattr(answered.floor, name)))
        auc = (_auc(found.auc.after) for found in compared.values())
        table.add_row("AUC, held out", *auc, _auc(answered.auc.retrained))
        table.add_row("distance", *(f"{found.rms.true:.1e}" for found in compared.values()))
        if self.trained.proof is not None:
            table.add_row("proven", *(f"{found.rms.bound:.1e}" for found in compared.values()))
        return table

    def sentences(self) -> list[str]:
        """For people: what the figures say."""
        answered, seen = self.answered, self.seen
        latencies = (
            f"Half of the requests were answered within {milliseconds(seen.latency(50))}, 99 of 100 within "
            f"{milliseconds(seen.latency(99))}. No row that they name is in the model's data any more."
        )
        if isinstance(answered, Beside):
            return [latencies, conclusion(answered)]
        last, seconds = self.refined or answered, answered.seconds
        afterwards = "" if self.refined is None else f"; after idle time it was {_left(self.refined)}"
        said = [
            latencies,
            "Retraining from scratch without these rows changes what the model says of a pair. Of that change the "
            f"daemon's answers left {_left(answered)}{afterwards}.",
            f"An update took {milliseconds(seconds.update)} on average, retraining took "
            f"{milliseconds(seconds.retrain)}: an update costs {share(seconds.update / seconds.retrain)} of it.",
        ]
        if last.rms.bound is None:
            said.append(
                f"The last version's predictions are {last.rms.true:.1e} from those of the retrained model (root mean "
                "square over all rows that are left). That is measured: no proof is known for models of this kind."
            )
        else:
            said.append(
                f"The last version's predictions are proven to be no further than {last.rms.bound:.1e} from those of "
                "the exactly retrained model (root mean square over all rows that are left). Retraining shows that it "
                f"is {last.rms.true:.1e}. ifru prove finds such a bound from a version and its data alone."
            )
        if self.trained.proof is not None and not self.trained.ready:
            said.append(f"Take care: the model is {self.trained.verdict}.")
        return said


def _figures(found: Verification | Beside) -> dict[str, object]:
    names = ("before", "after", "retrained", "within") if isinstance(found, Beside) else ("left", "auc", "rms", "floor")
    parts = {name: asdict(found)[name] for name in names}
    return {"residual_influence": found.settled_influence, **parts}


def _left(found: Verification) -> str:
    known = {"forgotten": found.left.forget, "held-out": found.left.holdout}
    said = [f"{share(value)} on {name} pairs" for name, value in known.items() if value is not None]
    return " and ".join(said) or "nothing that can be measured"


def _auc(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else 1000 * seconds

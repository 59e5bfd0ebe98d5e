"""The data sets that are measured on, each with the model that is trained on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.core import core
from ifru.errors import DataError
from ifru.interactions import Dataset
from ifru.interactions.generated import generate
from ifru.interactions.labels import LabelRule
from ifru.interactions.loading import read_file, split
from ifru.models import MFConfig, ModelConfig

FOLDER = Path(__file__).resolve().parents[2] / "shared" / "data"
"""Where the named data sets are looked for."""

GENERATED = "generated"


@dataclass(frozen=True)
class Setup:
    """A data set and a model.

    file: in the folder of data sets; None for the generated one. label, holdout: as for `ifru train`.
    core: rows that every user and item has at least; others are left out first.
    model: its configuration, from rank and l2. l2: λ; None chooses it by validation, as `ifru train` does.
    stationary: gradient norm, in √L, that counts as exact.
    """

    file: str | None
    core: int = 1
    label: str = "rating>=4"
    holdout: float = 0.2
    model: Callable[..., ModelConfig] = MFConfig
    rank: int = 16
    l2: float | None = None
    stationary: float = 1e-8


SETUPS = {
    "ml-100k": Setup("ml-100k.csv.gz", l2=0.1),
    "ml-1m-implicit": Setup(
        "ml-1m-implicit.csv.gz", label="positive:1", holdout=0.03, rank=64, l2=0.03, stationary=1e-6
    ),
    # Ratings go from 1 to 10, and 0 stands for none; the threshold is that of the paper on IFRU. So is the 5-core,
    # which leaves too little of this part of the data. Without a core, every pair of a user and an item that have no
    # other row asks for a dimension of its own: no rank is enough, and 'the retrained model' means nothing.
    "bookcrossing-60k": Setup("bookcrossing-60k.csv.gz", core=3, label="rating>=6"),
    "amazon-digital-music": Setup("amazon-digital-music.csv.gz", core=5, label="positive:1", rank=64),
    GENERATED: Setup(None, l2=0.1),
}


def default_setup(folder: Path, preferred: Sequence[str] = ("ml-100k",)) -> str:
    """The first of the preferred data sets that is at hand, else the generated one."""
    files = ((name, SETUPS[name].file) for name in preferred)
    return next((name for name, file in files if file is not None and (folder / file).exists()), GENERATED)


def load(setup: Setup, folder: Path, seed: int) -> Dataset:
    """Read or generate a data set and split it. Raises DataError with the file that is missing or cannot be used."""
    rule = LabelRule.parse(setup.label)
    if setup.file is None:
        return split(generate(943, 1_349, 99_287, seed), rule, setup.holdout, seed)
    path = folder / setup.file
    if not path.exists():
        raise DataError(f"{path}: there is no such file; name its folder with --folder, or take --data {GENERATED}")
    return split(core(read_file(path, rule.column), setup.core), rule, setup.holdout, seed)

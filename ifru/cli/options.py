"""Options that several commands share."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import torch
import typer

from ifru.objective import Capabilities
from ifru.snapshots import outside_hash_key

StoreUrl = Annotated[
    str,
    typer.Argument(
        metavar="URL",
        help="Where the versions are: file:///FOLDER, s3://BUCKET/PREFIX or memory://NAME.",
        show_default=False,
    ),
]
VersionNumber = Annotated[
    int | None, typer.Option("--version", metavar="N", min=1, help="Which version.", show_default="the newest")
]
OwnModule = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="PACKAGE.MODULE:FACTORY",
        help="Import this factory, for versions of a module of your own; no version causes an import by itself.",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text for people.")]

HashKeyFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="The key of hashes in versions, where it is not kept with them; else IFRU_HASH_KEY holds it in hex.",
        show_default=False,
    ),
]


def outside_key(file: Path | None) -> bytes | None:
    """The key that is not kept with the versions, from a file or the environment. Raises WrongHashKey."""
    return outside_hash_key(os.environ.get("IFRU_HASH_KEY"), file)


class Precision(StrEnum):
    """Floating-point numbers that models are computed in."""

    FLOAT32 = "float32"
    FLOAT64 = "float64"

    @property
    def dtype(self) -> torch.dtype:
        return torch.float32 if self is Precision.FLOAT32 else torch.float64


def dtype_of(precision: Precision | None, device: torch.device, capabilities: Capabilities) -> torch.dtype:
    """The precision to train in: as asked, else the one that a device computes in at a fair price.

    More than float32 is lost on a model that does not stand at a stationary point.
    """
    if precision is not None:
        return precision.dtype
    return torch.float64 if device.type == "cpu" and not capabilities.response else torch.float32

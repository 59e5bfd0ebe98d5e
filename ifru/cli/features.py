"""Features that a command line names, for models and data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from ifru.errors import IfruError
from ifru.interactions import Dataset
from ifru.interactions.feature_files import load_features
from ifru.interactions.features import encoded, encoding_of
from ifru.models import ModelConfig


def check_features(files: Mapping[str, Path | None], config: ModelConfig) -> None:
    """Raises IfruError for features that a model does not read. files: by `user` and `item`."""
    for side, path in files.items():
        if path is not None and not config.reads_features:
            raise IfruError(f"--{side}-features is no option of the model {config.name!r}, which reads no features")


def add_features(
    dataset: Dataset, models: Sequence[ModelConfig], files: Mapping[str, Path | None]
) -> tuple[list[ModelConfig], dict[str, pa.Table]]:
    """Features into a data set; returns the models with how these are encoded, and the features as recorded.

    Raises DataError for files that do not fit the data.
    """
    found, encodings = {}, {}
    for side, path in files.items():
        if path is not None:
            ids = dataset.users if side == "user" else dataset.items
            table = load_features(path, side, ids)
            encoding = encoding_of(table)
            if not encoding:
                raise IfruError(f"{path}: no column tells {side}s apart, so there is nothing to learn from it")
            found[side], encodings[f"{side}_features"] = table, encoding
            dataset.train.features[side] = encoded(table, encoding, len(ids))
    return [model.model_copy(update=encodings) for model in models], found

"""From the files of a version to what they hold. Every byte is checked against its manifest."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar

import pyarrow as pa
from safetensors import SafetensorError
from safetensors.torch import load as decode_tensors

from ifru.interactions import Dataset, Interactions
from ifru.interactions.features import FeatureColumn, encoded
from ifru.interactions.table import Float32
from ifru.snapshots.errors import CorruptFile
from ifru.snapshots.format import Manifest, manifest_path
from ifru.snapshots.parquet import decode_features, decode_ids, decode_interactions
from ifru.snapshots.parts import FEATURES, File, Role
from ifru.snapshots.tensors import decode_parameters
from ifru.snapshots.version import Version, checked

FULL_ROLES: tuple[Role, ...] = ("model", "users", "items", "train", "holdout")
OPTIONAL_ROLES: tuple[Role, ...] = ("buffers", *FEATURES.values())

T = TypeVar("T")


def verify(file: File, data: bytes, where: str) -> None:
    """Raises CorruptFile for other bytes than the manifest at a path names."""
    if len(data) != file.size:
        raise CorruptFile(file.path, f"has {len(data)} bytes, not {file.size} as {where} says")
    if (digest := hashlib.sha256(data).hexdigest()) != file.sha256:
        raise CorruptFile(file.path, f"has SHA-256 {digest}, not {file.sha256} as {where} says")


def decoded(file: File, decode: Callable[[bytes], T], data: bytes) -> T:
    """What a verified file holds. Raises CorruptFile where that is not what its role says."""
    try:
        return decode(data)
    except (SafetensorError, KeyError, ValueError, IndexError) as error:
        raise CorruptFile(file.path, f"is what was written, but holds no {file.role} of this format") from error


def full_roles(manifest: Manifest) -> list[Role]:
    """The files that a full version is read from."""
    return [*FULL_ROLES, *(role for role in OPTIONAL_ROLES if manifest.find(role))]


def full_version(manifest: Manifest, contents: Mapping[Role, bytes]) -> Version:
    """A full version from its verified files, by role. Raises CorruptFile."""

    def of(role: Role, decode: Callable[[bytes], T]) -> T:
        return decoded(manifest.file(role), decode, contents[role])

    parameters = of("model", partial(decode_parameters, config=manifest.model))
    users, items = len(parameters.user), len(parameters.item)
    interactions: Callable[[bytes], Interactions] = partial(decode_interactions, users=users, items=items)
    dataset = Dataset(
        train=of("train", interactions),
        holdout=of("holdout", interactions),
        users=of("users", partial(decode_ids, rows=users)),
        items=of("items", partial(decode_ids, rows=items)),
    )
    features = {
        side: of(role, partial(decode_features, rows=len(parameters.tables[side])))
        for side, role in FEATURES.items()
        if role in contents
    }
    for side, encoding in manifest.model.encodings.items():
        dataset.train.features[side] = _numbers(manifest, side, features, encoding, len(parameters.tables[side]))
    buffers = of("buffers", decode_tensors) if "buffers" in contents else {}
    return checked(Version(manifest, parameters, dataset, None, buffers, features))


def _numbers(
    manifest: Manifest,
    side: str,
    features: Mapping[str, pa.Table],
    encoding: Sequence[FeatureColumn],
    entities: int,
) -> Float32:
    """The features of a side as its model reads them. Raises CorruptFile where they do not fit the model."""
    try:
        return encoded(features[side], encoding, entities)
    except (KeyError, ValueError) as error:
        raise CorruptFile(
            manifest_path(manifest.version), f"names a model whose {side} features are not there"
        ) from error

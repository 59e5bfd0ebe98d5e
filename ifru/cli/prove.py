"""`ifru prove`: how far a version can be from the model retrained on what is left."""

from __future__ import annotations

import secrets

import torch

from ifru.cli.options import Json, StoreUrl, VersionNumber
from ifru.cli.output import print_facts, print_json, progress
from ifru.proof import prove as prove_version
from ifru.snapshots import Reader, open_store


def prove(url: StoreUrl, version: VersionNumber = None, json: Json = False) -> None:
    """Bound the distance of a version to the exactly retrained model, from the version and its data alone."""
    with progress() as report:
        loaded = Reader(open_store(url)).load(version)
        report("proving", None)
        random = torch.Generator().manual_seed(secrets.randbits(63))
        proof = prove_version(loaded.tables, loaded.dataset.train, loaded.manifest.model, random=random)
    facts = {
        "version": loaded.manifest.version,
        "objective": proof.objective,
        "gap": proof.gap,
        "relative_gap": proof.relative_gap,
        "sigma_over_lambda": proof.sigma_over_lambda,
        "rms_bound": proof.rms_bound,
        "retained": proof.retained,
        "failure_probability": proof.failure_probability,
    }
    print_json(facts) if json else print_facts({name.replace("_", " "): value for name, value in facts.items()})

"""A proof of a model of any kind that has one."""

from __future__ import annotations

from collections.abc import Callable

import torch

from ifru.interactions import Interactions
from ifru.models.config import ModelConfig
from ifru.models.registry import model_of
from ifru.objective.parameters import Parameters
from ifru.proof import Dual, Duality, Proof, ProofError, proof_by, proof_of, uninterrupted


def prove(
    parameters: Parameters,
    interactions: Interactions,
    config: ModelConfig,
    *,
    random: torch.Generator,
    dual: Dual | None = None,
    check: Callable[[], None] = uninterrupted,
) -> Proof:
    """`proof_of` the parameters (float32 or float64) of a model that minimises its objective on some interactions.

    Raises ProofError where no proof is known for this kind of model, and as `proof_of` does.
    """
    return proof_of(parameters, _duality(interactions, config), random=random, dual=dual, check=check)


def prove_by(known: Proof, parameters: Parameters, interactions: Interactions, config: ModelConfig) -> Proof:
    """`proof_by` what is known of other parameters of the model on the same interactions. Raises as `prove` does."""
    return proof_by(known, parameters, _duality(interactions, config))


def _duality(interactions: Interactions, config: ModelConfig) -> Duality:
    model = model_of(config)
    if not model.capabilities.provable:
        raise ProofError(f"no proof is known for models of the kind {config.name!r}; ifru verify measures instead")
    return model.duality(interactions)

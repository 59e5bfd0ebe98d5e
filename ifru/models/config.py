"""What a model is, apart from its parameters."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, PositiveFloat, PositiveInt

from ifru.interactions.features import FeatureColumn
from ifru.objective.losses import LossName


class ModelConfig(BaseModel):
    """What every model has, besides its parameters and the interactions, that the objective depends on.

    A model's own configuration derives from this one and adds its hyper-parameters. name: the model's, by which
    `ifru.models.registry` knows it. l2: the coefficient λ of the penalty (λ/2)(‖p_u‖² + ‖q_i‖²) of each interaction.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    rank: PositiveInt
    loss: LossName = "bce"
    l2: PositiveFloat

    @property
    def reads_features(self) -> bool:
        """Whether what is known of users and items besides their interactions is of any use to it."""
        return False

    @property
    def encodings(self) -> Mapping[str, tuple[FeatureColumn, ...]]:
        """`user` or `item` -> how recorded features become the numbers that it reads."""
        return {}

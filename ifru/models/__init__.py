"""Models, as the engine sees them: rows, a score, its derivatives."""

from ifru.models.config import LossName, ModelConfig
from ifru.models.mf import MatrixFactorization
from ifru.models.pairwise import PairwiseModel
from ifru.models.tables import Tables

__all__ = ["LossName", "MatrixFactorization", "ModelConfig", "PairwiseModel", "Tables", "model_of"]


def model_of(config: ModelConfig) -> PairwiseModel:
    """The model that a configuration names."""
    return MatrixFactorization(config.rank, config.bias)

"""Models: what is scored, what is minimised, and what each offers."""

from ifru.models.config import ModelConfig
from ifru.models.mf import MFConfig
from ifru.models.model import Model
from ifru.models.registry import UnknownModel, config_of, config_type, known, model_of, register

__all__ = [
    "MFConfig",
    "Model",
    "ModelConfig",
    "UnknownModel",
    "config_of",
    "config_type",
    "known",
    "model_of",
    "register",
]

"""The influence engine."""

from ifru.engine.engine import Engine
from ifru.engine.settings import EngineSettings
from ifru.engine.update import Settled, Update

__all__ = ["Engine", "EngineSettings", "Settled", "Update"]

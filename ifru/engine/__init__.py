"""The influence engine."""

from ifru.curvature.cache import Counters
from ifru.engine.engine import Engine
from ifru.engine.settings import EngineSettings
from ifru.engine.update import Carried, Settled, Update

__all__ = ["Carried", "Counters", "Engine", "EngineSettings", "Settled", "Update"]

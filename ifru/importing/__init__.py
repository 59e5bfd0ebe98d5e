"""Models that other programs trained: read without those programs, and checked against the data they come with."""

from ifru.importing.base import Base, base_of, data_of
from ifru.importing.entities import read_ids, renumbered
from ifru.importing.implicit import Factors, read_implicit
from ifru.importing.mapping import WrongMapping, check_mapping
from ifru.importing.recbole import Checkpoint, model_in, read_recbole

__all__ = [
    "Base",
    "Checkpoint",
    "Factors",
    "WrongMapping",
    "base_of",
    "check_mapping",
    "data_of",
    "model_in",
    "read_ids",
    "read_implicit",
    "read_recbole",
    "renumbered",
]

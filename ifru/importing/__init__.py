"""Models that other programs trained: read without those programs, and checked against the data they come with."""

from ifru.importing.entities import read_ids, renumbered
from ifru.importing.implicit import Factors, read_implicit
from ifru.importing.mapping import WrongMapping, check_mapping

__all__ = ["Factors", "WrongMapping", "check_mapping", "read_ids", "read_implicit", "renumbered"]

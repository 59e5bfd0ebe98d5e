"""`ifrud demo`: the whole path on one machine, from a data file to a model that is held against retraining."""

from ifrud.demo.run import Demo, run_demo

__all__ = ["Demo", "run_demo"]

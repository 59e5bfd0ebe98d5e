"""The device that a model is computed on, by its name."""

from __future__ import annotations

import torch

from ifru.errors import IfruError


class UnsupportedDevice(IfruError):
    """A device that cannot be used here."""

    def __init__(self, name: str) -> None:
        super().__init__(f"device {name!r} cannot be used here; allowed are auto, cpu, and cuda where there is one")


def device_of(name: str) -> torch.device:
    """`auto` is a GPU where there is one, else the CPU. Raises UnsupportedDevice."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise UnsupportedDevice(name) from error

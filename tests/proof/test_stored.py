"""Dual points as files."""

from __future__ import annotations

import pytest
import safetensors.numpy
import torch

from ifru.proof import ProofError, decode_dual, encode_dual
from tests.proof.cases import case


@pytest.mark.parametrize("loss", ["bce", "squared"])
def test_a_stored_dual_point_proves_what_it_proved(loss: str) -> None:
    small = case(500, loss=loss)
    theta = small.trained(small.start())
    dual = small.prove(theta).dual
    data = encode_dual(dual)
    read = decode_dual(data)
    assert torch.equal(read.alpha, dual.alpha)
    assert torch.equal(read.subspace, dual.subspace)
    assert (read.loss, read.data) == (dual.loss, dual.data)
    assert encode_dual(read) == data
    stale = small.start()
    assert small.prove(stale, dual=read).gap == small.prove(stale, dual=dual).gap


def test_bytes_that_hold_no_dual_point_are_refused() -> None:
    small = case(501)
    data = encode_dual(small.prove(small.start()).dual)
    arrays = safetensors.numpy.load(data)
    without = safetensors.numpy.save({name: value for name, value in arrays.items() if name != "alpha"})
    other = safetensors.numpy.save(arrays | {"loss": arrays["loss"][:-1]})
    for wrong in (b"", data[:-1], b"user,item\n1,2\n", without, other):
        with pytest.raises(ProofError, match="no dual point can be read"):
            decode_dual(wrong)


def test_a_dual_point_of_the_wrong_shape_is_refused() -> None:
    small = case(502)
    theta = small.start()
    arrays = safetensors.numpy.load(encode_dual(small.prove(theta).dual))
    for name in ("alpha", "subspace"):
        torn = decode_dual(safetensors.numpy.save(arrays | {name: arrays[name][:-1].copy()}))
        with pytest.raises(ProofError):
            small.prove(theta, dual=torn)

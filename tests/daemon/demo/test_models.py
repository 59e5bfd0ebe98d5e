"""What the demo trains where nothing is asked for."""

from __future__ import annotations

import pytest

from ifrud_demo.models import configured, suited


@pytest.mark.parametrize(
    ("model", "loss", "rule"),
    [
        ("mf", None, "rating>=4"),
        ("neumf", None, "rating>=4"),
        ("ials", None, "positive:0"),
        ("mf", "bpr", "positive:1"),
        ("lightgcn", "bpr", "positive:1"),
    ],
)
def test_labels_are_what_a_model_and_its_loss_need(model: str, loss: str | None, rule: str) -> None:
    config = configured(model, None, None, loss)
    assert (config.name, suited(config)) == (model, rule)
    assert loss is None or config.loss == loss


def test_what_is_asked_for_comes_before_what_suits() -> None:
    config = configured("mf", 5, 0.3, "bpr")
    assert (config.rank, config.l2) == (5, 0.3)

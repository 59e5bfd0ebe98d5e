"""All that a model must hold to."""

from __future__ import annotations

from ifru.testing.capabilities import DeclaredCapabilities
from ifru.testing.derivatives import Derivatives
from ifru.testing.forgetting import Forgetting


class Conformance(Derivatives, Forgetting, DeclaredCapabilities):
    """Tests of a model. A test class derives from it and sets `config`.

    The rest has defaults: `dataset` is some hundred generated ratings, `trained` trains to a stationary point, `scores`
    are those of the model's serving tables, `loss` and `penalty` are those of every interaction. What is otherwise with
    a model, its test class says by a method of the same name. What a model does not declare in its `Capabilities` is
    not asked of it: those tests are skipped.
    """

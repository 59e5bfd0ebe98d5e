"""What every model must hold to, as tests: those of this package pass it, and a model of your own is held to it by

    from ifru.testing import Conformance

    class TestMyModel(Conformance):
        config = MyConfig(rank=4, l2=0.1)

in a test file of pytest, which the extra `ifru[testing]` installs. Each promise is a test of its own.
"""

from ifru.testing.conformance import Conformance

__all__ = ["Conformance"]

"""Fixtures and settings that several parts of the tests share."""

from hypothesis import settings

pytest_plugins = [
    "tests.fixtures.kafka",
    "tests.fixtures.ratings",
    "tests.fixtures.seaweedfs",
    "tests.fixtures.streams",
]

# No test fails for being slow on a machine with other work.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

"""Fixtures that several parts of the tests share."""

pytest_plugins = [
    "tests.fixtures.kafka",
    "tests.fixtures.ratings",
    "tests.fixtures.seaweedfs",
    "tests.fixtures.streams",
]

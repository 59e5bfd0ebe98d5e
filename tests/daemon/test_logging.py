"""The log: JSON, one object a line."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from ifrud.observe.logging import configure_logging


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root, stream = logging.getLogger(), io.StringIO()
    handlers, level = root.handlers, root.level
    configure_logging("info", stream)
    yield stream
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def test_every_line_is_json_with_time_and_level_whoever_wrote_it(stream: io.StringIO) -> None:
    structlog.stdlib.get_logger("ifrud").info("a sentence", version=3)
    logging.getLogger("somebody.else").warning("%s of %s", 1, 2)
    ours, theirs = (json.loads(line) for line in stream.getvalue().splitlines())
    assert (ours["event"], ours["version"], ours["level"], ours["logger"]) == ("a sentence", 3, "info", "ifrud")
    assert (theirs["event"], theirs["level"], theirs["logger"]) == ("1 of 2", "warning", "somebody.else")
    assert ours["timestamp"].endswith("Z")


def test_a_traceback_stays_on_its_line(stream: io.StringIO) -> None:
    try:
        raise ZeroDivisionError("on purpose")
    except ZeroDivisionError:
        structlog.stdlib.get_logger("ifrud").exception("stopped")
    (line,) = stream.getvalue().splitlines()
    assert "ZeroDivisionError: on purpose" in json.loads(line)["exception"]


def test_the_chatter_of_libraries_is_left_out(stream: io.StringIO) -> None:
    logging.getLogger("kafka.conn").info("connected")
    logging.getLogger("uvicorn.error").info("started")
    structlog.stdlib.get_logger("ifrud").debug("detail")
    assert stream.getvalue() == ""

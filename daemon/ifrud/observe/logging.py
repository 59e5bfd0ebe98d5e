"""Logs: one JSON object a line on standard error, whoever wrote it."""

from __future__ import annotations

import logging
from typing import TextIO

import structlog
from structlog.typing import Processor


def configure_logging(level: str, stream: TextIO) -> None:
    """Send the daemon's own log lines and those of its libraries to a stream, as JSON."""
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    # Libraries log routine work at level info; only their warnings matter here.
    for library in ("kafka", "uvicorn", "asyncio"):
        logging.getLogger(library).setLevel(max(logging.WARNING, root.level))

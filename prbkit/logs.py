"""Logging of whole processes: stdlib logging, formatted by structlog, always on stderr."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

__all__ = ["set_up"]

TRACE = 5


def set_up(level: str | int, form: str, *, process: str | None = None) -> None:
    """Send all log records to stderr: for people on a terminal, as JSON lines elsewhere.

    :param level: `log_level` of the settings, or a level of `logging`.
    :param form: `log_format` of the settings.
    :param process: name of the child process that logs, told with each record.
    """
    console = form == "console" or (form == "auto" and sys.stderr.isatty())

    def add_process(
        _logger: Any, _method: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        if process is not None:
            event["process"] = process
        return event

    shared: list[structlog.types.Processor] = [
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        add_process,
    ]
    render: list[structlog.types.Processor] = (
        [structlog.dev.ConsoleRenderer()]
        if console
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
        )
    )
    logging.addLevelName(TRACE, "TRACE")
    number = TRACE if level == "trace" else level.upper() if isinstance(level, str) else level
    logging.basicConfig(level=number, handlers=[handler], force=True)
    # What these two say below warnings is about single requests.
    for name in ("aiohttp.access", "asyncio"):
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))

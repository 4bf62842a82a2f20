"""Logging of the command line: stdlib logging, formatted by structlog, always on stderr."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from prbkit.settings import Settings

__all__ = ["set_up"]

TRACE = 5


def set_up(settings: Settings) -> None:
    """Send all log records to stderr: for people on a terminal, as JSON lines elsewhere."""
    console = settings.log_format == "console" or (
        settings.log_format == "auto" and sys.stderr.isatty()
    )
    shared: list[structlog.types.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
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
    level = TRACE if settings.log_level == "trace" else settings.log_level.upper()
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # What these two say below warnings is about single requests.
    for name in ("aiohttp.access", "asyncio"):
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))

"""What the trader does when the chain, the queue or the disk fails: it waits and asks again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from prbkit.errors import SourceError, VerificationError

__all__ = ["pause", "persist"]

log = logging.getLogger(__name__)

PAUSE = 2.0
"""Seconds to wait after something failed."""

T = TypeVar("T")


async def pause() -> None:
    """Wait a little before something that failed is tried again."""
    await asyncio.sleep(PAUSE)


async def persist(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask the chain until it answers."""
    while True:
        try:
            return await ask()
        except (SourceError, VerificationError) as error:
            log.warning("the chain does not answer: %s", error)
            await pause()

"""Whom to ask: an endpoint that gave false data is passed over for a time that doubles.

Pure: time comes in as a number.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

__all__ = ["Trust"]


class _HasUrl(Protocol):
    url: str


_V = TypeVar("_V", bound=_HasUrl)


class Trust:
    """Endpoints that were caught, and until when they are not asked.

    :param first: seconds after the first offence; each further one doubles them, up to 64 times.
    """

    def __init__(self, first: float) -> None:
        self._first = first
        self._until: dict[str, float] = {}
        self._offences: dict[str, int] = {}

    def refuse(self, url: str, now: float) -> float:
        """Note an offence; for how many seconds the endpoint is not asked."""
        offences = self._offences.get(url, 0)
        self._offences[url] = offences + 1
        pause = self._first * float(2 ** min(offences, 6))
        self._until[url] = now + pause
        return pause

    def trusted(self, views: Sequence[_V], now: float) -> list[_V]:
        """The views that may be asked, in their order."""
        return [view for view in views if self._until.get(view.url, now) <= now]

    def offences(self) -> dict[str, int]:
        """How often each endpoint was caught."""
        return dict(self._offences)

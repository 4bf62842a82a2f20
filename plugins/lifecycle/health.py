"""When a person should look at a worker: pure, out of what the workers report.

Three things are alarms: a worker that brings nothing to its end for long (`down`: it fails or
cannot be reached; `stuck`: it is fed, and others are further), one that the chain calls
unresponsive and slashes (`unresponsive`), and several that stand at the very same place
(`height`): that is one cause, so it is one alarm and not one for each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .control import WorkerReport
from .onchain import UNRESPONSIVE
from .states import State

__all__ = ["Alarm", "Health"]

AT_REST = (State.S_IDLE, State.S_KICKED)
FAILING = (State.S_STARTING, State.S_ERROR)
SEVERAL = 3
"""Workers at one place that make it the place's fault."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """What is wrong: `worker` is a uuid, or empty where several are meant; `since` Unix time."""

    kind: str
    worker: str
    name: str
    message: str
    since: float


@dataclass(slots=True)
class _Seen:
    name: str
    report: WorkerReport
    moved: float
    """When its heights last changed, or it last began."""
    unresponsive: float | None = None

    @property
    def heights(self) -> tuple[int, int, int]:
        return (self.report.next_relay, self.report.next_para, self.report.next_block)


class Health:
    """Watches the reports of all workers.

    :param stuck_after: seconds without progress that make an alarm.
    """

    def __init__(self, stuck_after: float) -> None:
        self._stuck_after = stuck_after
        self._seen: dict[str, _Seen] = {}

    def observe(self, report: WorkerReport, name: str, now: float) -> None:
        """Take what a worker says of itself. `now` is Unix time."""
        seen = self._seen.get(report.uuid)
        if seen is None:
            seen = self._seen[report.uuid] = _Seen(name, report, now)
        before, rested = seen.heights, seen.report.state in AT_REST
        seen.name, seen.report = name, report
        if seen.heights != before or rested or report.state in AT_REST:
            seen.moved = now
        if report.session_state != UNRESPONSIVE or report.state in AT_REST:
            seen.unresponsive = None
        elif seen.unresponsive is None:
            seen.unresponsive = now

    def forget(self, uuid: str) -> None:
        self._seen.pop(uuid, None)

    def alarms(self, now: float) -> Mapping[tuple[str, str], Alarm]:
        """What is wrong now, by kind and whom it is about; what goes on keeps its `since`."""
        furthest = max((seen.heights for seen in self._seen.values()), default=(0, 0, 0))
        found: dict[tuple[str, str], Alarm] = {}
        places: dict[tuple[int, int, int], list[tuple[str, _Seen]]] = {}
        for uuid, seen in self._seen.items():
            if seen.unresponsive is not None:
                message = "unresponsive on chain: it is being slashed"
                alarm = Alarm("unresponsive", uuid, seen.name, message, seen.unresponsive)
                found["unresponsive", uuid] = alarm
            if self._stands(seen, furthest, now):
                # A worker that never said where it is stands nowhere.
                place = seen.heights if any(seen.heights) else (-1, -1, len(places))
                places.setdefault(place, []).append((uuid, seen))
        for place, standing in places.items():
            if len(standing) >= SEVERAL:
                found["height", repr(place)] = _of_place(place, standing)
                continue
            for uuid, seen in standing:
                kind = "down" if seen.report.state in FAILING else "stuck"
                message = seen.report.message or "it brings nothing to its end"
                found[kind, uuid] = Alarm(kind, uuid, seen.name, message, seen.moved)
        return found

    def _stands(self, seen: _Seen, furthest: tuple[int, int, int], now: float) -> bool:
        if seen.report.state in AT_REST or now - seen.moved < self._stuck_after:
            return False
        # Who has all that anybody has may wait for the chain for as long as it stands.
        return seen.report.state in (*FAILING, State.S_SYNCHING) or seen.heights < furthest


def _of_place(place: tuple[int, int, int], standing: list[tuple[str, _Seen]]) -> Alarm:
    names = sorted(seen.name for _, seen in standing)
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    relay, para, block = place
    last = max((seen for _, seen in standing), key=lambda seen: seen.moved)
    message = (
        f"{len(names)} workers stand at relay block {relay}, para header {para}, para block "
        f"{block} ({shown}): {last.report.message or 'nothing is said of it'}"
    )
    return Alarm("height", "", "", message, last.moved)

"""Events as the JSON that webhooks and programs get: pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from prbkit.events import AlarmChanged, WorkerChanged
from prbkit.interfaces import Worker

__all__ = ["generic", "prb3"]

_STATES = {
    "S_IDLE": "Disabled",
    "S_KICKED": "Disabled",
    "S_STARTING": "Starting",
    "S_SYNCHING": "Synchronizing",
    "S_SYNCHED": "Preparing",
    "S_PRE_ACTIVE": "Preparing",
    "S_ACTIVE": "Working",
}


def generic(event: AlarmChanged | WorkerChanged) -> dict[str, Any]:
    """An event's fields, and what it is in `event`: ``alarm`` or ``worker``."""
    return {"event": "alarm" if isinstance(event, AlarmChanged) else "worker", **asdict(event)}


def prb3(event: WorkerChanged, workers: Mapping[str, Worker]) -> dict[str, Any]:
    """A WorkerStatus of PRB v3, as far as this process knows it.

    `phactory_info` and `session_info` are null: an event does not carry them.
    """
    worker = workers.get(event.worker)
    state: Any = _STATES.get(event.state, "Starting")
    if event.state == "S_ERROR":
        state = {"HasError": event.message}
    return {
        "worker": {
            "id": event.worker,
            "name": event.name,
            "endpoint": "" if worker is None else worker.endpoint,
            "stake": "0" if worker is None else str(worker.stake),
            "enabled": True if worker is None else worker.enabled,
            "sync_only": False if worker is None else worker.sync_only,
            "gatekeeper": False,
            "pid": None if worker is None else worker.pid,
        },
        "state": state,
        "phactory_info": None,
        "last_message": event.message,
        "session_info": None,
    }

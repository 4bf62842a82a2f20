"""Frames as a hostile node would send them: events, or Garbage and the connection's end."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

from prbkit.errors import SourceError
from prbkit_plugins.substrate.rpc import Failed, Garbage, RpcCore, typed_error
from tests.hostile import changed, little_memory

FRAMES: list[Any] = [
    {"jsonrpc": "2.0", "id": 1, "result": "0x00"},
    {"jsonrpc": "2.0", "id": 2, "result": "sub"},
    {"jsonrpc": "2.0", "id": 1, "error": {"code": -32000, "message": "no", "data": ["x"]}},
    {"jsonrpc": "2.0", "method": "m", "params": {"subscription": "sub", "result": {"a": 1}}},
    [{"jsonrpc": "2.0", "id": 1, "result": None}, {"jsonrpc": "2.0", "id": 2, "result": 7}],
]


def receive(frames: list[bytes | str]) -> None:
    core = RpcCore()
    core.call("m", [])
    core.call("s", [], subscribe=True)
    for frame in frames:
        try:
            events = core.receive(frame)
        except Garbage:
            return
        for event in events:
            if isinstance(event, Failed):
                assert isinstance(typed_error(event.failure, "m", where="ws://a"), SourceError)


@given(changed([json.dumps(frame).encode() for frame in FRAMES]))
def test_changed_frames(frame: bytes) -> None:
    receive([frame])
    receive([json.dumps(FRAMES[1]).encode(), frame])
    receive([frame.decode("latin-1")])


@pytest.mark.parametrize(
    "frame",
    ["[" * 100_000, '{"a":' * 100_000, "9" * 10_000, '{"id":' + "9" * 5000 + "}", "\ud800"],
    ids=range(5),
)
def test_deep_or_endless_frames_are_garbage(frame: str) -> None:
    core = RpcCore()
    core.call("m", [])
    with pytest.raises(Garbage):
        core.receive(frame)


def test_notifications_of_nothing_are_not_kept_for_ever() -> None:
    core = RpcCore()
    core.call("s", [], subscribe=True)
    told = "x" * 10_000
    with little_memory():
        for n in range(2000):
            params = {"subscription": f"s{n}", "result": told}
            assert core.receive(json.dumps({"method": "m", "params": params})) == []

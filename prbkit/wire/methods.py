"""Which call takes and gives which message, and what it takes to be allowed to make it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from google.protobuf.message import Message

from prbkit.wire._pool import message_class, service_methods

__all__ = ["METHODS", "PRPC", "Empty", "Method"]

Empty = message_class("google.protobuf.Empty")
"""What calls of pRuntime without argument take and give (Walkie's is `walkie.Empty`)."""


@dataclass(frozen=True, slots=True)
class Method:
    """A call between bridge processes.

    `access` is ``read`` for what every peer of the same bridge identity may call and ``command``
    for what changes something.
    """

    request: type[Message]
    response: type[Message]
    access: Literal["read", "command"]


_COMMANDS = frozenset(
    {
        "CreatePool",
        "UpdatePool",
        "CreateWorker",
        "UpdateWorker",
        "RestartWorker",
        "RefreshRaAndRestartWorker",
        "KickWorker",
    }
)

METHODS: Mapping[str, Method] = MappingProxyType(
    {
        name: Method(request, response, "command" if name in _COMMANDS else "read")
        for service in ("prb.WalkieRpc", "prbkit.Bridge")
        for name, (request, response) in service_methods(service).items()
    }
)
"""Walkie's methods and prbkit's own ``GetStatus``, by name."""

PRPC: Mapping[str, tuple[type[Message], type[Message]]] = MappingProxyType(
    service_methods("pruntime_rpc.PhactoryAPI")
)
"""pRuntime's methods (``POST /prpc/PhactoryAPI.{name}``): name → (request, response)."""

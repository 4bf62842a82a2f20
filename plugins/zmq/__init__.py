"""The stock plugin `zmq`: the default transport, ZeroMQ with CURVE."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from prbkit.hookspecs import hookimpl

if TYPE_CHECKING:
    from pydantic import BaseModel

    from prbkit.identity import Identity
    from prbkit.interfaces import Transport
    from prbkit.settings import Settings

_SCHEMES = ("zmq+tcp", "zmq+ipc")


@hookimpl
def prbkit_schemes() -> Mapping[str, Sequence[str]]:
    """Claim ``zmq+tcp://HOST:PORT`` and ``zmq+ipc:PATH``."""
    return {"transport": _SCHEMES}


@hookimpl
def prbkit_transport(url: str, identity: Identity, settings: Settings) -> Transport | None:
    """Make a transport that listens on ``zmq+tcp://HOST:PORT`` or ``zmq+ipc:PATH``.

    Port 0 is any free port; a path is relative to the data directory.
    """
    if not url.startswith(tuple(f"{scheme}:" for scheme in _SCHEMES)):
        return None
    from .transport import ZmqTransport

    return ZmqTransport.from_settings(url, identity, settings)


def _model() -> type[BaseModel]:
    from .settings import ZmqSettings

    return ZmqSettings


@hookimpl
def prbkit_settings() -> Mapping[str, Callable[[], type[BaseModel]]]:
    """Bring the section ``[zmq]``."""
    return {"zmq": _model}

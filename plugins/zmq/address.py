"""Addresses of peers: URLs of this transport, and PRB v2's multiaddrs."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from prbkit.errors import ConfigError
from prbkit.identity import is_peer_id

__all__ = ["Address"]

_MULTIADDR = re.compile(
    r"/(?:ip4|ip6|dns|dns4|dns6)/(?P<host>[^/\s]+)/tcp/(?P<port>[0-9]{1,5})"
    r"(?:/(?:p2p|ipfs)/(?P<peer>[^/\s]+))?"
)
_PIN = re.compile(r"/(?:p2p|ipfs)/([^/\s]+)")
_MOST_UNIX_PATH = 100
"""sun_path has 104 bytes on macOS, and the encrypted endpoint's path is a little longer."""
_HINT = "such as zmq+tcp://10.0.0.2:18888, zmq+ipc:bridge.sock or /ip4/10.0.0.2/tcp/18888"


@dataclass(frozen=True, slots=True)
class Address:
    """A host and port, or a path of a same-host socket; `peer_id` pins who must be there."""

    host: str = ""
    port: int = 0
    path: str = ""
    peer_id: str | None = None

    @classmethod
    def parse(cls, text: str, folder: Path) -> Self:
        """Read an address; relative paths are relative to `folder`. Raises `ConfigError`."""
        if text.startswith("/"):
            return cls._from_multiaddr(text)
        if text.startswith("zmq+ipc:"):
            return cls._from_ipc(text, folder)
        if text.startswith("zmq+tcp://"):
            return cls._from_tcp(text)
        raise ConfigError(f"{text!r} is no address of this transport", hint=_HINT)

    @classmethod
    def _from_multiaddr(cls, text: str) -> Self:
        found = _MULTIADDR.fullmatch(text)
        if found is None:
            raise ConfigError(f"{text!r} is no TCP multiaddr", hint=_HINT)
        return cls(found["host"], _port(found["port"], text), "", _pin(found["peer"], text))

    @classmethod
    def _from_ipc(cls, text: str, folder: Path) -> Self:
        rest, _, peer = text.removeprefix("zmq+ipc:").partition("/p2p/")
        rest = rest.removeprefix("//")
        if not rest or "\0" in rest:
            raise ConfigError(f"{text!r} names no path", hint=_HINT)
        path = str(folder / rest)
        if len(path.encode()) > _MOST_UNIX_PATH:
            raise ConfigError(
                f"the socket's path is longer than {_MOST_UNIX_PATH} bytes",
                where=path,
                hint="choose a shorter one, such as zmq+ipc:///run/prbkit/bridge.sock",
            )
        return cls("", 0, path, _pin(peer or None, text))

    @classmethod
    def _from_tcp(cls, text: str) -> Self:
        try:
            parts = urlsplit(text)
            host, port = parts.hostname, parts.port
        except ValueError:
            host = port = None
        pin = _PIN.fullmatch(parts.path) if host and parts.path not in ("", "/") else None
        if (
            not host
            or port is None
            or parts.username is not None
            or parts.query
            or parts.fragment
            or (parts.path not in ("", "/") and pin is None)
        ):
            raise ConfigError(f"{text!r} is no address of this transport", hint=_HINT)
        return cls(host, port, "", _pin(pin[1] if pin else None, text))

    def __str__(self) -> str:
        pin = f"/p2p/{self.peer_id}" if self.peer_id else ""
        if self.path:
            return f"zmq+ipc:{self.path}{pin}"
        return f"zmq+tcp://{self.bracketed}:{self.port}{pin}"

    @property
    def bracketed(self) -> str:
        """The host as a URL has it."""
        return f"[{self.host}]" if ":" in self.host else self.host

    @property
    def place(self) -> Self:
        """The address without its pin."""
        return replace(self, peer_id=None)

    def pinned(self, peer_id: str) -> Self:
        """The same place, where that peer must be."""
        return replace(self, peer_id=peer_id)

    @property
    def unspecified(self) -> bool:
        """Whether the host is 0.0.0.0 or :: (all interfaces): one can listen there, not dial."""
        if self.path:
            return False
        try:
            return ipaddress.ip_address(self.host).is_unspecified
        except ValueError:
            return self.host == "*"


def _port(text: str, address: str) -> int:
    port = int(text)
    if port > 65535:
        raise ConfigError(f"{address!r} has a port over 65535")
    return port


def _pin(text: str | None, address: str) -> str | None:
    if text is not None and not is_peer_id(text):
        raise ConfigError(
            f"{address!r} ends with what is no peer id", hint="peer ids begin with Qm"
        )
    return text

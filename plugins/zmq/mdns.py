"""Peers of the same bridge identity on the local network, by mDNS (extra ``mdns``)."""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
from collections.abc import Callable

from prbkit.errors import ConfigError
from prbkit.identity import is_peer_id

from .address import Address

__all__ = ["check_mdns", "discover"]

_TYPE = "_prbkit._tcp.local."
_RESOLVE_MS = 3000


def check_mdns(address: Address) -> None:
    """Raise `ConfigError` where discovery is not possible."""
    if address.path:
        raise ConfigError(
            "zmq.mdns needs a transport on TCP",
            where=str(address),
            hint="listen on zmq+tcp://HOST:PORT",
        )
    if importlib.util.find_spec("zeroconf") is None:
        raise ConfigError("zmq.mdns needs the package zeroconf", hint="pip install 'prbkit[mdns]'")


async def discover(
    own: Address, instance: str, namespace: str, found: Callable[[Address], None]
) -> None:
    """Announce this process and tell of others, until cancelled.

    `own` is where others dial us, our peer id pinned; `found` is called with such addresses.
    """
    from zeroconf import ServiceStateChange, Zeroconf
    from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

    # The network is not told the bridge identity, only what recognises it.
    tag = hashlib.sha256(b"prbkit mdns v1\0" + namespace.encode()).hexdigest()[:16]
    name = f"{instance}.{_TYPE}"
    resolving: set[asyncio.Task[None]] = set()

    async def resolve(zeroconf: Zeroconf, other: str) -> None:
        info = AsyncServiceInfo(_TYPE, other)
        if not await info.async_request(zeroconf, _RESOLVE_MS):
            return
        told = info.decoded_properties
        peer_id = told.get("id") or ""
        hosts = info.parsed_addresses()
        if told.get("ns") == tag and is_peer_id(peer_id) and info.port and hosts:
            found(Address(hosts[0], info.port, "", peer_id))

    def changed(
        zeroconf: Zeroconf,
        service_type: str,
        name: str,
        state_change: ServiceStateChange,
    ) -> None:
        if state_change is not ServiceStateChange.Removed and not name.startswith(instance):
            task = asyncio.get_running_loop().create_task(resolve(zeroconf, name))
            resolving.add(task)
            task.add_done_callback(resolving.discard)

    service = AsyncServiceInfo(
        _TYPE,
        name,
        parsed_addresses=[own.host],
        port=own.port,
        properties={"ns": tag, "id": own.peer_id or ""},
        server=f"{instance}.local.",
    )
    async with AsyncZeroconf() as responder:
        browser = AsyncServiceBrowser(responder.zeroconf, _TYPE, handlers=[changed])
        try:
            await responder.async_register_service(service)
            await asyncio.Event().wait()
        finally:
            for task in resolving:
                task.cancel()
            await browser.async_cancel()

"""The service: archive, follower and server put together, told to the bridge's other parts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prbkit.interfaces import Caller, ServiceContext
from prbkit.wire import walkie

from .archive import Archive
from .follow import Follower
from .serve import BlobServer
from .settings import DataProviderSettings

__all__ = ["DataProvider"]


class DataProvider:
    """A `prbkit.interfaces.Service`."""

    def __init__(self, context: ServiceContext) -> None:
        self._context = context

    async def run(self) -> None:
        """Follow both chains and serve what is committed, until cancelled."""
        context = self._context
        settings: DataProviderSettings = context.section("data_provider")
        archive = Archive(await context.store())
        await archive.load()
        relay, para = await context.source("relay"), await context.source("para")
        follower = Follower(archive, relay, para, settings, context.emit)
        server = BlobServer(archive, limit=settings.serve_limit, keep=settings.serve_keep)

        async def info(_caller: Caller, _message: Any) -> Any:
            return info_message(archive, follower)

        async def blob(_caller: Caller, message: Any) -> Any:
            data = await server.get(message.key)
            return walkie.RawBlob(key=message.key, empty=data is None, data=data or b"")

        context.report_status("relay", lambda: relay_status(archive, follower))
        context.report_status("para", lambda: para_status(archive, follower))
        context.handle("GetDataProviderInfo", info)
        context.handle("GetBlobByKey", blob)
        context.serve_blobs(server.get)
        await follower.run()


def relay_status(archive: Archive, follower: Follower) -> Mapping[str, Any]:
    """The data provider's `relay` part of ``prbkit status``."""
    return {
        "target": follower.target["relay"],
        "fetched": follower.fetched["relay"],
        "committed": archive.relay.number if archive.begun else 0,
        "set_id": archive.relay.authorities.set_id if archive.begun else 0,
        "set_changes": follower.set_changes,
        "endpoints": follower.endpoints("relay"),
    }


def para_status(archive: Archive, follower: Follower) -> Mapping[str, Any]:
    """The data provider's `para` part of ``prbkit status``."""
    return {
        "target": follower.target["para"],
        "fetched": follower.fetched["para"],
        "committed": archive.para.number if archive.begun else 0,
        "endpoints": follower.endpoints("para"),
    }


def info_message(archive: Archive, follower: Follower) -> Any:
    """PRB v2's Info: processed is what is verified, which is committed at once."""
    if not archive.begun:
        return walkie.Info(status=walkie.Status.S_SYHCHING)
    relay, para = archive.relay.number, archive.para.number
    synced = relay >= follower.target["relay"] and para >= archive.relay.para.number
    return walkie.Info(
        status=walkie.Status.S_IDLE if synced else walkie.Status.S_SYHCHING,
        para_id=archive.genesis.para_id,
        parent_start_header=archive.genesis.relay_number,
        parent_target=follower.target["relay"],
        parent_fetched_height=follower.fetched["relay"],
        parent_processed_height=relay,
        parent_committed_height=relay,
        para_target=follower.target["para"],
        para_fetched_height=follower.fetched["para"],
        para_processed_height=para,
        para_committed_height=para,
    )

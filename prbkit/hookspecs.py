"""Every hook of prbkit: THE page a plugin author reads.

A plugin is a module (or any object) with functions of these names, marked with `hookimpl` and
named by an entry point of the group ``prbkit``::

    # pyproject.toml of the plugin
    [project.entry-points.prbkit]
    mystore = "mystore.plugin"

    # mystore/plugin.py: imports only this module and the standard library
    from prbkit.hookspecs import hookimpl

    @hookimpl
    def prbkit_blob_store(url, settings):
        if not url.startswith("mystore:"):
            return None
        from mystore.store import MyStore    # heavy imports stand inside factories
        return MyStore(url)

A factory hook gets a URL and returns the object, not yet opened, or None if the scheme is not its
own; it is called in each process that needs the object, once. Hooks are called last registered
first (pluggy's order); the first factory that answers wins, and the setting
``prefer = {scheme = "plugin"}`` tells apart two plugins that claim one scheme. A hook may be a
plain function; those that return an object may be ``async``. An exception that is not a
`prbkit.errors.PrbError` is wrapped in `PluginError` with the plugin's name.

All hooks: since 0.1.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    import click
    from pydantic import BaseModel, SecretStr

    from prbkit.events import Event
    from prbkit.identity import Identity
    from prbkit.interfaces import (
        BlobStore,
        ChainSource,
        Inventory,
        Role,
        Service,
        ServiceContext,
        Signer,
        TradeAction,
        TradeQueue,
        Transport,
    )
    from prbkit.settings import Settings

__all__ = ["hookimpl", "hookspec"]

hookspec = pluggy.HookspecMarker("prbkit")
hookimpl = pluggy.HookimplMarker("prbkit")


@hookspec
def prbkit_schemes() -> Mapping[str, Sequence[str]]:
    """Name the URL schemes that this plugin's factories claim.

    Called in each process when a URL is resolved, to find conflicts and to list what is known in
    the error for an unknown scheme; a factory is called for any scheme all the same.

    :return: factory → schemes, such as ``{"blob_store": ["lmdb"]}``; factories are
        ``chain_source``, ``blob_store``, ``transport``, ``trade_queue``, ``inventory``.
    """


@hookspec(firstresult=True)
def prbkit_chain_source(url: str, role: Role, settings: Settings) -> ChainSource | None:
    """Make a chain source.

    Called by a service process for each chain it needs, with the first endpoint of the settings.

    :param url: the endpoint's URL, such as ``ws://127.0.0.1:9944``; all endpoints of the chain
        are in ``settings.relay.endpoints`` or ``settings.para.endpoints``.
    :param role: which chain.
    :param settings: the whole validated settings tree.
    """


@hookspec(firstresult=True)
def prbkit_blob_store(url: str, settings: Settings) -> BlobStore | None:
    """Make the store that the data provider keeps its documents in.

    Called in the data provider's processes.

    :param url: such as ``lmdb:blobs``; a relative path is relative to ``settings.data_dir``.
    """


@hookspec(firstresult=True)
def prbkit_transport(url: str, identity: Identity, settings: Settings) -> Transport | None:
    """Make the transport of a process.

    Called once in each process that runs services, and in the CLI's client.

    :param url: where to listen, such as ``zmq+tcp://0.0.0.0:18888``.
    :param identity: proves this process's peer id.
    """


@hookspec(firstresult=True)
def prbkit_signer(uri: SecretStr, settings: Settings) -> Signer | None:
    """Make a signer from a pool's secret URI.

    Called by whoever has to sign (the trader) or to know an account (the inventory). Never log
    the URI, nor put it into an exception.
    """


@hookspec(firstresult=True)
def prbkit_trade_queue(url: str, settings: Settings) -> TradeQueue | None:
    """Make the trade queue, in the processes of lifecycle, trader and monitor.

    :param url: such as ``sqlite:queue.db`` or ``redis://127.0.0.1:6379/0``.
    """


@hookspec(firstresult=True)
def prbkit_inventory(
    url: str,
    identity: Identity,
    settings: Settings,
    account_of: Callable[[SecretStr], Awaitable[bytes]],
) -> Inventory | None:
    """Make the inventory of pools and workers, in the processes of lifecycle, trader, monitor.

    :param url: such as ``sqlite:inventory.db``.
    :param identity: seals and unseals the operators' secrets.
    :param account_of: tells the account id (32 bytes) that a signer URI signs for, through
        `prbkit_signer`; raises `SignerError` for a secret that cannot be used.
    """


@hookspec
def prbkit_services() -> Mapping[str, Callable[[ServiceContext], Service]]:
    """Name the services that this plugin brings, each with a function that makes it.

    Called at start in every process; only the services that the settings name are made. The
    functions must import late.
    """


@hookspec
def prbkit_settings() -> Mapping[str, Callable[[], type[BaseModel]]]:
    """Name the sections of the settings that belong to this plugin, each with its model.

    A section is a top-level table of the settings file; it is validated when the settings are
    loaded, and a service reads it with ``context.section(name)``. The function that returns the
    model is called only then, so that the model may be imported late.
    """


@hookspec
def prbkit_commands(group: click.Group) -> None:
    """Add commands to the ``prbkit`` command line (``group.add_command`` or ``@group.command``)."""


@hookspec
def prbkit_trade_actions() -> Mapping[str, TradeAction]:
    """Name the trade actions that this plugin brings: how a job's payload becomes calls."""


@hookspec
def prbkit_event(event: Event) -> None:
    """Hear what happened (`prbkit.events`).

    Called in the process where it happened, on its event loop: return at once. What it raises is
    logged and changes nothing.
    """

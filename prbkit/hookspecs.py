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

An implementation may leave out parameters that it does not need; the others go by name.

**Factories** get a URL and return an object of `prbkit.interfaces`, or None if the scheme is not
their own. The caller opens and closes what it got: a factory reaches nothing and makes no file (it
is called by ``prbkit config check`` too). Hooks are called last registered first (pluggy's order);
the first factory that answers wins. Two plugins that name one scheme in `prbkit_schemes` are told
apart by the setting ``prefer = {scheme = "plugin"}``. Factories may be ``async``, other hooks may
not.

**Errors**: raise a `prbkit.errors.PrbError` that says what, where and what to do, a `ConfigError`
for what only the operator can put right: it ends ``prbkit serve`` with exit code 2, where any other
error of a service is logged and the service started again. What is no `PrbError` is wrapped in
`PluginError` with the plugin's name (a factory's without its message, which could hold a secret).

**Processes**: ``prbkit serve`` is one, each runner of the lifecycle manager another, and so is each
command. Plugins are registered in all of them. In a process hooks are called on its event loop (in
commands also before there is one), so they must return within milliseconds.

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

    Called by the plugin manager in each process, whenever a URL is resolved, to find conflicts and
    to list what is known in the error for an unknown scheme; a factory is called for any scheme all
    the same. Signers have no schemes: a secret need not be a URL.

    :return: factory → schemes, such as ``{"blob_store": ["lmdb"]}``; factories are
        ``chain_source``, ``blob_store``, ``transport``, ``trade_queue``, ``inventory``.
    """


@hookspec(firstresult=True)
def prbkit_chain_source(url: str, role: Role, settings: Settings) -> ChainSource | None:
    """Make a chain source.

    Called once for each chain in a process that needs it (data provider, trader, runners), with
    the first endpoint of the settings; when its `open` has failed, again.

    :param url: the endpoint's URL, such as ``ws://127.0.0.1:9944``; all endpoints of the chain
        are in ``settings.relay.endpoints`` or ``settings.para.endpoints``.
    :param role: ``"relay"`` or ``"para"``.
    :param settings: the whole validated settings tree; ``settings.section(name)`` is your own.
    :return: a source over all of the chain's endpoints. It refuses endpoints whose genesis hash is
        not the ``genesis_hash`` of that chain in the settings, where there is one.
    :raises ConfigError: for endpoints that this plugin claims and cannot use.
    """


@hookspec(firstresult=True)
def prbkit_blob_store(url: str, settings: Settings) -> BlobStore | None:
    """Make the store that the data provider keeps its documents in.

    Called once in the data provider's process, and by ``prbkit fsck``, ``repair``, ``blob get
    --local`` and ``bench``.

    :param url: such as ``lmdb:blobs``; a relative path is relative to ``settings.data_dir``
        (``settings.data_path(path)``). With ``?mode=ro`` nothing is written.
    :raises ConfigError: for a URL that this plugin claims and cannot use.
    """


@hookspec(firstresult=True)
def prbkit_transport(url: str, identity: Identity, settings: Settings) -> Transport | None:
    """Make the transport of a process.

    Called once at the start of each process: with the setting ``transport`` in ``prbkit serve``,
    with ``local_transport`` in its children and in commands that talk to a running bridge.

    :param url: where to listen, such as ``zmq+tcp://0.0.0.0:18888``; port 0 is any free one.
    :param identity: proves this process's peer id. Processes of one machine may share one.
    :raises ConfigError: for a URL that this plugin claims and cannot use; `open` raises it for an
        address that is taken.
    """


@hookspec(firstresult=True)
def prbkit_signer(uri: SecretStr, settings: Settings) -> Signer | None:
    """Make a signer from a pool's secret URI.

    Called by the trader for each pool's operator when it begins to sign for it, and by the
    inventory, also in commands, for each operator that is given, to know its account. All signer
    plugins are asked in turn: return None for a secret that is not of your kind. Never log the
    secret, nor put it into an exception.

    :param uri: what the operator gave, as one text: a mnemonic, ``//Alice``, an account export, or
        ``yourscheme:…``. `SecretStr.get_secret_value` shows it.
    :return: a signer of one account. It is neither opened nor closed.
    :raises SignerError: for a secret of your kind that cannot be used.
    """


@hookspec(firstresult=True)
def prbkit_trade_queue(url: str, settings: Settings) -> TradeQueue | None:
    """Make the trade queue.

    Called once in each process that uses it: the lifecycle manager, its runners, the trader, and
    ``prbkit jobs``.

    :param url: such as ``sqlite:queue.db`` or ``redis://127.0.0.1:6379/0``.
    :raises ConfigError: for a URL that this plugin claims and cannot use.
    """


@hookspec(firstresult=True)
def prbkit_inventory(
    url: str,
    identity: Identity,
    settings: Settings,
    account_of: Callable[[SecretStr], Awaitable[bytes]],
) -> Inventory | None:
    """Make the inventory of pools and workers.

    Called once in each process that uses it: the lifecycle manager, the trader, and ``prbkit pool``
    and ``worker``.

    :param url: such as ``sqlite:inventory.db``.
    :param identity: seals and unseals the operators' secrets.
    :param account_of: tells the account id (32 bytes) that a signer URI signs for, through
        `prbkit_signer`; raises `SignerError` for a secret that cannot be used.
    """


@hookspec
def prbkit_services() -> Mapping[str, Callable[[ServiceContext], Service]]:
    """Name the services that this plugin brings, each with a function that makes it.

    Called at the start of ``prbkit serve`` (and by ``config check``); only the services that the
    setting ``services`` names are made, each anew after it has failed. The functions must import
    late.

    :return: name → function of a `ServiceContext` that returns a `Service`. Names are unique over
        all plugins, or the start is refused.
    """


@hookspec
def prbkit_settings() -> Mapping[str, Callable[[], type[BaseModel]]]:
    """Name the sections of the settings that belong to this plugin, each with its model.

    Called in every process when it starts. A section is a top-level table of the settings file; it
    is validated then, and read with ``context.section(name)`` or ``settings.section(name)``. The
    function that returns the model is called only then, so that the model may be imported late.

    :return: name → function that returns the model, a `prbkit.settings.Section` all of whose
        fields have defaults: a bridge without your table must start.
    """


@hookspec
def prbkit_commands(group: click.Group) -> None:
    """Add commands to the ``prbkit`` command line.

    Called once when the command line is looked at, also for ``--help``: import late. What commands
    share (``-c``, ``--json``, the settings, a client of the running bridge) is in
    `prbkit.cli.common`. A `PrbError` that a command raises becomes one line and exit code 1, a
    `ConfigError` 2.

    :param group: the root; its ``add_command`` takes yours. A group that another plugin may have
        made already is got from `prbkit.cli.common.subgroup`.
    """


@hookspec
def prbkit_trade_actions() -> Mapping[str, TradeAction]:
    """Name the trade actions that this plugin brings: how a job's payload becomes calls.

    Called by the trader in its process, for each job that it takes: return a constant.

    :return: a job's ``action`` → `prbkit.interfaces.TradeAction`. Names are unique over all
        plugins, or the start is refused.
    """


@hookspec
def prbkit_event(event: Event) -> None:
    """Hear what happened (`prbkit.events`).

    Called for every event in the process where it happened, on its event loop, some thousand times
    a second in a first sync: return at once, and hand on what takes longer. What it raises is
    logged and changes nothing.
    """

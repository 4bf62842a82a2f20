"""The plugin manager: finds plugins, checks their hooks, and calls them with types.

One `Plugins` belongs to one bridge or command; nothing is global. The stock plugins are found as
anyone's are, through the entry points of the group ``prbkit``.
"""

from __future__ import annotations

import importlib.util
import inspect
import logging
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import pluggy

from prbkit import hookspecs
from prbkit.errors import ConfigError, PluginError, PrbError, UnknownSchemeError

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

__all__ = ["Plugins"]

GROUP = "prbkit"
_T = TypeVar("_T")
log = logging.getLogger(__name__)


class Plugins:
    """The plugins of one bridge.

    :param disabled: entry-point names to leave out.
    :param files: Python files that are plugins themselves (an operator's one-off).
    :param objects: further plugins, such as a test's.

    Raises `ConfigError` for a plugin that cannot be imported or has a hook that does not exist.
    """

    def __init__(
        self,
        *,
        disabled: Sequence[str] = (),
        files: Sequence[Path] = (),
        objects: Sequence[object] = (),
    ) -> None:
        self._manager = pluggy.PluginManager(GROUP)
        self._manager.add_hookspecs(hookspecs)
        self.distributions: dict[str, str] = {}
        for point in entry_points(group=GROUP):
            if point.name not in disabled:
                try:
                    self._register(point.load(), point.name)
                except ImportError as error:
                    raise ConfigError(
                        f"the plugin {point.name} cannot be imported: {error}",
                        where=point.value,
                        hint="install what it needs, or name it in disabled_plugins",
                    ) from error
                self.distributions[point.name] = point.dist.name if point.dist else "?"
        for file in files:
            self._register(_import_file(file), file.stem)
        for thing in objects:
            self._register(thing, getattr(thing, "__name__", type(thing).__name__))
        try:
            self._manager.check_pending()
        except pluggy.PluginValidationError as error:
            raise ConfigError(f"a plugin is wrong: {error}") from None

    def _register(self, plugin: object, name: str) -> None:
        try:
            self._manager.register(plugin, name)
        except (ValueError, pluggy.PluginValidationError) as error:
            raise ConfigError(f"the plugin {name} is refused: {error}") from None

    def names(self) -> Sequence[str]:
        return sorted(name for name, _ in self._manager.list_name_plugin())

    def hooks(self, name: str) -> Sequence[str]:
        """The hooks that a plugin implements."""
        plugin = self._manager.get_plugin(name)
        return sorted(c.name for c in self._manager.get_hookcallers(plugin) or ())

    def schemes(self, kind: str) -> Mapping[str, Sequence[str]]:
        """Scheme → the plugins that claim it, of ``chain_source``, ``blob_store``, …"""
        claimed: dict[str, list[str]] = {}
        for name, found in self._each("prbkit_schemes"):
            for scheme in found.get(kind, ()):
                claimed.setdefault(scheme, []).append(name)
        return claimed

    # --- factories ---------------------------------------------------------------------------

    async def chain_source(self, url: str, role: Role, settings: Settings) -> ChainSource:
        return await self._make("chain_source", url, settings, role=role)  # type: ignore[no-any-return]

    async def blob_store(self, url: str, settings: Settings) -> BlobStore:
        return await self._make("blob_store", url, settings)  # type: ignore[no-any-return]

    async def transport(self, url: str, identity: Identity, settings: Settings) -> Transport:
        return await self._make("transport", url, settings, identity=identity)  # type: ignore[no-any-return]

    async def trade_queue(self, url: str, settings: Settings) -> TradeQueue:
        return await self._make("trade_queue", url, settings)  # type: ignore[no-any-return]

    async def inventory(self, url: str, identity: Identity, settings: Settings) -> Inventory:
        async def account_of(uri: SecretStr) -> bytes:
            return (await self.signer(uri, settings)).account

        return await self._make(  # type: ignore[no-any-return]
            "inventory", url, settings, identity=identity, account_of=account_of
        )

    async def signer(self, uri: SecretStr, settings: Settings) -> Signer:
        for name, call in self._impls("prbkit_signer"):
            made = await self._guard(name, call, uri=uri, settings=settings)
            if made is not None:
                return made  # type: ignore[no-any-return]
        raise UnknownSchemeError(
            "no plugin can make a signer of the given secret",
            hint="give a mnemonic, a //derivation, a raw seed or a polkadot-js account export",
        )

    async def _make(self, kind: str, url: str, settings: Settings, **more: Any) -> Any:
        scheme = url.partition(":")[0]
        claims = self.schemes(kind)
        preferred = settings.prefer.get(scheme)
        if preferred is None and len(claims.get(scheme, ())) > 1:
            raise ConfigError(
                f"the plugins {', '.join(claims[scheme])} all claim {scheme}:",
                where=url,
                hint=f'choose one: prefer = {{ {scheme} = "…" }}',
            )
        for name, call in self._impls(f"prbkit_{kind}"):
            if preferred in (None, name):
                made = await self._guard(name, call, url=url, settings=settings, **more)
                if made is not None:
                    return made
        what = kind.replace("_", " ")
        raise UnknownSchemeError(
            f"no plugin makes a {what} of this URL",
            where=url,
            hint=f"known are: {', '.join(f'{s}:' for s in sorted(claims)) or 'none'}",
        )

    # --- composition -------------------------------------------------------------------------

    def services(self) -> Mapping[str, Callable[[ServiceContext], Service]]:
        return self._union("prbkit_services", "service")

    def chosen_services(
        self, settings: Settings
    ) -> Mapping[str, Callable[[ServiceContext], Service]]:
        """The services that the settings name. Raises `ConfigError` for one that nobody brings."""
        known = self.services()
        for name in settings.services:
            if name not in known:
                raise ConfigError(
                    f"no plugin brings the service {name!r}",
                    where="services",
                    hint=f"known are: {', '.join(sorted(known))}",
                )
        return {name: known[name] for name in settings.services}

    async def check(self, settings: Settings, identity: Identity) -> None:
        """Make all that the settings name, and open nothing: for ``prbkit config check``.

        Raises `ConfigError` for a service or a URL that no plugin brings.
        """
        self.chosen_services(settings)
        for role, chain in (("relay", settings.relay), ("para", settings.para)):
            if chain.endpoints:
                await self.chain_source(chain.endpoints[0], cast("Role", role), settings)
        await self.blob_store(settings.store, settings)
        for url in (settings.transport, settings.local_transport):
            await self.transport(url, identity, settings)
        await self.trade_queue(settings.queue, settings)
        await self.inventory(settings.inventory, identity, settings)

    def settings(self) -> Mapping[str, Callable[[], type[BaseModel]]]:
        return self._union("prbkit_settings", "settings section")

    def trade_actions(self) -> Mapping[str, TradeAction]:
        return self._union("prbkit_trade_actions", "trade action")

    def commands(self, group: click.Group) -> None:
        for _ in self._each("prbkit_commands", group=group):
            pass

    def event(self, event: Event) -> None:
        """Tell every plugin. What one raises is logged and changes nothing."""
        for name, call in self._impls("prbkit_event"):
            try:
                call(event=event)
            except Exception:
                log.exception("the plugin %s failed on %s", name, type(event).__name__)

    # --- calling -----------------------------------------------------------------------------

    def _impls(self, hook: str) -> Sequence[tuple[str, Callable[..., Any]]]:
        """(plugin, function taking the hook's arguments by name), last registered first."""
        impls = getattr(self._manager.hook, hook).get_hookimpls()
        return [(impl.plugin_name, _by_name(impl)) for impl in reversed(impls)]

    def _each(self, hook: str, **arguments: Any) -> Sequence[tuple[str, Any]]:
        found = []
        for name, call in self._impls(hook):
            try:
                found.append((name, call(**arguments)))
            except PrbError:
                raise
            except Exception as error:
                raise PluginError(f"{hook} raised {error!r}", where=f"plugin {name}") from error
        return found

    def _union(self, hook: str, what: str) -> dict[str, Any]:
        union: dict[str, Any] = {}
        owner: dict[str, str] = {}
        for plugin, mapping in self._each(hook):
            for name, value in mapping.items():
                if name in union:
                    raise ConfigError(
                        f"the plugins {owner[name]} and {plugin} both bring the {what} {name!r}",
                        hint="name one of them in disabled_plugins",
                    )
                union[name], owner[name] = value, plugin
        return union

    @staticmethod
    async def _guard(name: str, call: Callable[..., Any], **arguments: Any) -> Any:
        try:
            made = call(**arguments)
            return await made if inspect.isawaitable(made) else made
        except PrbError:
            raise
        except Exception as error:
            # The message of a foreign error could hold the URL or secret that it was given.
            raise PluginError(
                f"it raised {type(error).__name__}", where=f"plugin {name}"
            ) from error


def _by_name(impl: Any) -> Callable[..., Any]:
    """Call a hook implementation with those of the arguments that it names, as pluggy does."""
    wanted = impl.argnames

    def call(**arguments: Any) -> Any:
        return impl.function(*(arguments[name] for name in wanted))

    return call


def _import_file(file: Path) -> object:
    spec = importlib.util.spec_from_file_location(f"prbkit_plugin_{file.stem}", file)
    if spec is None or spec.loader is None or not file.is_file():
        raise ConfigError("there is no such plugin file", where=str(file))
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ConfigError(f"the plugin file raised {error!r}", where=str(file)) from error
    return module

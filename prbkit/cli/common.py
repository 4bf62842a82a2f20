"""What commands share, those of plugins too: options, JSON output, the objects that the settings
name, and a client of a running bridge."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from prbkit.context import Context
    from prbkit.interfaces import Transport
    from prbkit.settings import Settings

__all__ = [
    "config_option",
    "connect",
    "echo_json",
    "json_option",
    "load_settings",
    "offline",
    "run",
    "subgroup",
]

_T = TypeVar("_T")
_F = TypeVar("_F", bound=Callable[..., Any])


def config_option(function: _F) -> _F:
    """``-c FILE``, also from PRBKIT_CONFIG; without one the environment alone is read."""
    return click.option(
        "-c",
        "--config",
        type=click.Path(dir_okay=False, path_type=Path),
        envvar="PRBKIT_CONFIG",
        help="Settings file (TOML); also PRBKIT_CONFIG.",
    )(function)


def json_option(function: _F) -> _F:
    """``--json``: exactly one object on stdout."""
    return click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")(
        function
    )


def subgroup(group: click.Group, name: str, text: str) -> click.Group:
    """The group `name` in `group`, made where no other plugin has made it before."""
    found = group.commands.get(name)
    if not isinstance(found, click.Group):
        found = click.Group(name, help=text)
        group.add_command(found)
    return found


def echo_json(value: Any) -> None:
    """Print a value as the one JSON object of a command."""
    import orjson

    click.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2))


def run(work: Coroutine[Any, Any, _T]) -> _T:
    """Run a command's coroutine to its end."""
    import asyncio

    return asyncio.run(work)


def load_settings(config: Path | None) -> Settings:
    """Settings with the sections of all installed plugins validated."""
    from prbkit.plugins import Plugins
    from prbkit.settings import Settings

    settings = Settings.load(config)
    plugins = Plugins(disabled=settings.disabled_plugins, files=settings.plugin_files)
    settings.bind_sections(plugins.settings())
    return settings


@asynccontextmanager
async def offline(settings: Settings) -> AsyncIterator[Context]:
    """The objects that the settings name, without a transport or services: for tools on data."""
    from prbkit import child
    from prbkit.context import Context, load_identity
    from prbkit.plugins import Plugins

    plugins = Plugins(disabled=settings.disabled_plugins, files=settings.plugin_files)
    settings.bind_sections(plugins.settings())
    context = Context(settings, plugins, load_identity(settings), spawner=child.run)
    try:
        yield context
    finally:
        await context.close()


@asynccontextmanager
async def connect(settings: Settings) -> AsyncIterator[Transport]:
    """A client of the running bridge that the settings belong to, its peers known.

    Raises `TransportError` where no process of it can be reached.
    """
    from prbkit.context import load_identity
    from prbkit.errors import PeerUnknown, PrbError
    from prbkit.plugins import Plugins

    plugins = Plugins(disabled=settings.disabled_plugins, files=settings.plugin_files)
    settings.bind_sections(plugins.settings())
    identity = load_identity(settings).child()
    transport = await plugins.transport(settings.local_transport, identity, settings)
    async with transport:
        failures = []
        for address in dict.fromkeys((settings.transport, *settings.boot_nodes)):
            try:
                await transport.dial(address)
            except PrbError as error:
                failures.append(f"{address}: {error.message}")
        if len(transport.peers()) < 2:
            raise PeerUnknown(
                f"no process of this bridge answers ({'; '.join(failures)})",
                hint="is `prbkit serve` running with these settings?",
            )
        yield transport

"""The command tree. Each command's work is imported when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from prbkit import __version__
from prbkit.cli.common import config_option, echo_json, json_option, load_settings, run
from prbkit.testing.devnet.cli import devnet_command

__all__ = ["cli"]


class Commands(click.Group):
    """The built-in commands and those of the installed plugins."""

    _complete = False

    def _with_plugins(self) -> None:
        if not self._complete:
            self._complete = True
            from prbkit.plugins import Plugins

            Plugins().commands(self)

    def list_commands(self, ctx: click.Context) -> list[str]:
        self._with_plugins()
        return super().list_commands(ctx)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        self._with_plugins()
        return super().get_command(ctx, cmd_name)


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: prbkit serve --demo",
)
@click.version_option(__version__, prog_name="prbkit")
def cli() -> None:
    """A Runtime Bridge for Phala-style networks."""


@cli.command(epilog="Example: prbkit serve -c prbkit.toml")
@config_option
@click.option("--demo", is_flag=True, help="Bring a devnet and simulated workers.")
@click.option(
    "--workers",
    type=click.IntRange(min=0),
    default=3,
    show_default=True,
    help="With --demo: simulated workers.",
)
@click.option(
    "--block-time",
    type=click.FloatRange(min=0, min_open=True),
    default=6.0,
    show_default=True,
    help="With --demo: the relay's, in seconds.",
)
@click.option("--until-active", is_flag=True, help="With --demo: end when all workers compute.")
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="With --demo: keep everything here; a temporary folder unless given.",
)
@json_option
def serve(
    config: Path | None,
    demo: bool,
    workers: int,
    block_time: float,
    until_active: bool,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Run the services that the settings name, until interrupted."""
    ctx = click.get_current_context()
    given = {
        name
        for name in ctx.params
        if ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
    }
    if demo and "config" in given:
        raise click.UsageError("--demo brings settings of its own: leave out -c")
    if not demo and (alone := given & {"workers", "block_time", "until_active", "data_dir"}):
        names = ", ".join(f"--{name.replace('_', '-')}" for name in sorted(alone))
        raise click.UsageError(f"{names} goes with --demo only")

    from prbkit.cli import serve as command

    if demo:
        options = command.DemoOptions(workers, block_time, until_active, data_dir)
        raise SystemExit(run(command.serve_demo(options, as_json=as_json)))
    run(command.serve(config, as_json=as_json))


@cli.command(epilog="Example: prbkit status -c prbkit.toml --json")
@config_option
@json_option
def status(config: Path | None, as_json: bool) -> None:
    """Tell heights, workers and trade jobs of a running bridge."""
    from prbkit.cli import view
    from prbkit.cli.common import connect
    from prbkit.status import gather

    async def ask() -> dict[str, Any]:
        settings = load_settings(config)
        async with connect(settings) as transport:
            return await gather(transport, settings)

    found = run(ask())
    if as_json:
        echo_json(found)
    else:
        view.show(found)


@cli.command(epilog="Example: prbkit plugins --json")
@json_option
def plugins(as_json: bool) -> None:
    """List the installed plugins, their hooks and URL schemes."""
    from prbkit.cli import view
    from prbkit.plugins import Plugins

    found = Plugins()
    kinds = ("chain_source", "blob_store", "transport", "trade_queue", "inventory")
    rows = [
        {
            "name": name,
            "distribution": found.distributions.get(name),
            "hooks": list(found.hooks(name)),
            "schemes": {
                kind: [s for s, by in found.schemes(kind).items() if name in by]
                for kind in kinds
                if any(name in by for by in found.schemes(kind).values())
            },
        }
        for name in found.names()
    ]
    if as_json:
        echo_json({"plugins": rows})
    else:
        view.show_plugins(rows)


@cli.command(epilog="Example: TMPDIR=/var/lib/prbkit prbkit bench --seconds 2")
@click.option(
    "--seconds",
    type=click.FloatRange(min=0, min_open=True),
    default=0.5,
    show_default=True,
    help="At least so long for each figure.",
)
@json_option
def bench(seconds: float, as_json: bool) -> None:
    """Measure what a bridge does most, on this machine, to size it by.

    The store is measured in a temporary folder: TMPDIR chooses the disk.
    """
    from prbkit.cli import view
    from prbkit.cli.bench import Rate, measure, report

    async def work() -> list[Rate]:
        rates = []
        async for rate in measure(seconds):
            rates.append(rate)
            if not as_json:
                click.echo(view.rate_line(rate.name, rate.rate, rate.unit, rate.what))
        return rates

    rates = run(work())
    if as_json:
        echo_json(report(rates))


@cli.group()
def config() -> None:
    """Work on settings files."""


@config.command("check", epilog="Example: prbkit config check prbkit.toml")
@click.argument("file", type=click.Path(path_type=Path))
@json_option
def config_check(file: Path, as_json: bool) -> None:
    """Validate a settings file and say what is wrong with it. Nothing is opened or reached."""
    from prbkit.identity import Identity
    from prbkit.plugins import Plugins

    settings = load_settings(file)
    plugins = Plugins(disabled=settings.disabled_plugins, files=settings.plugin_files)
    run(plugins.check(settings, Identity.generate()))
    notes = list(settings.notes)
    for role, chain in (("relay", settings.relay), ("para", settings.para)):
        if not chain.endpoints:
            notes.append(f"{role}.endpoints is empty: services that follow that chain refuse it")
    for note in notes:
        click.echo(f"note: {note}", err=True)
    if as_json:
        echo_json({"ok": True, "services": list(settings.services)})
    else:
        click.echo(f"{file}: ok, runs {', '.join(settings.services)}")


@cli.group()
def identity() -> None:
    """Work on the key that makes the peer id and seals secrets."""


@identity.command("show", epilog="Example: prbkit identity show -c prbkit.toml")
@config_option
@json_option
def identity_show(config: Path | None, as_json: bool) -> None:
    """Tell the peer id and where its key is kept."""
    from prbkit.identity import Identity

    settings = load_settings(config)
    file = settings.data_path(settings.identity)
    found = Identity.load(file)
    if as_json:
        echo_json({"peer_id": found.peer_id, "file": str(file)})
    else:
        click.echo(f"{found.peer_id}\n{file}")


@identity.command("backup", epilog="Example: prbkit identity backup -c prbkit.toml bridge.backup")
@config_option
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--passphrase",
    prompt=True,
    hide_input=True,
    confirmation_prompt=True,
    envvar="PRBKIT_PASSPHRASE",
    help="Asked for unless given; also PRBKIT_PASSPHRASE.",
)
def identity_backup(config: Path | None, file: Path, passphrase: str) -> None:
    """Write the key, encrypted under a passphrase, to FILE (which must not exist)."""
    from prbkit.cli import keys

    keys.backup(load_settings(config), file, passphrase)
    click.echo(f"written: {file}; keep the passphrase apart from it")


@identity.command("restore", epilog="Example: prbkit identity restore -c prbkit.toml bridge.backup")
@config_option
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--passphrase",
    prompt=True,
    hide_input=True,
    envvar="PRBKIT_PASSPHRASE",
    help="Asked for unless given; also PRBKIT_PASSPHRASE.",
)
def identity_restore(config: Path | None, file: Path, passphrase: str) -> None:
    """Put a backed-up key in its place (where no key may be)."""
    from prbkit.cli import keys

    click.echo(keys.restore(load_settings(config), file, passphrase))


@identity.command("verify", epilog="Example: prbkit identity verify -c prbkit.toml --json")
@config_option
@json_option
def identity_verify(config: Path | None, as_json: bool) -> None:
    """See that every operator's secret opens and is of the right account."""
    from prbkit.cli import keys

    rows = run(keys.verify(load_settings(config)))
    if as_json:
        echo_json({"ok": all(row["ok"] for row in rows), "pools": rows})
    else:
        for row in rows:
            click.echo(f"pool {row['pid']} ({row['name']}): {row['problem'] or 'ok'}")
    if not all(row["ok"] for row in rows):
        raise SystemExit(1)


@identity.command("rotate", epilog="Example: prbkit identity rotate -c prbkit.toml")
@config_option
@json_option
def identity_rotate(config: Path | None, as_json: bool) -> None:
    """Make a new key, seal all secrets under it, and do away with the old one.

    The bridge must not run. Called again, it finishes what was cut off. Back the new key up.
    """
    from prbkit.cli import keys

    peer_id, count = run(keys.rotate(load_settings(config)))
    if as_json:
        echo_json({"peer_id": peer_id, "secrets": count})
    else:
        click.echo(f"{peer_id}\n{count} secrets are sealed under it; back it up")


cli.add_command(devnet_command)

"""``prbkit blob get``, ``prbkit fsck``, ``prbkit repair``: an operator's tools for the store."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from prbkit.cli.common import (
    config_option,
    connect,
    echo_json,
    json_option,
    load_settings,
    offline,
    run,
    subgroup,
)

__all__ = ["add_commands"]


def add_commands(group: click.Group) -> None:
    """Add to the command line."""
    subgroup(group, "blob", "Read what the data providers serve.").add_command(get)
    group.add_command(fsck)
    group.add_command(repair)


@click.command(epilog="Example: prbkit blob get prbkit/para/1/10 > headers.scale")
@click.argument("key")
@click.option("--local", is_flag=True, help="Read the store itself; no data provider may run.")
@config_option
def get(key: str, local: bool, config: Path | None) -> None:
    """Write the blob of KEY to stdout, as a running data provider serves it.

    Keys are prbkit's own (docs/architecture.md) and PRB v2's.
    """
    from prbkit.errors import NotFound

    from .archive import Archive
    from .serve import BlobServer
    from .settings import DataProviderSettings

    settings = load_settings(config)

    async def from_store() -> bytes | None:
        async with offline(settings) as context:
            section: DataProviderSettings = context.section("data_provider")
            archive = Archive(await context.store())
            await archive.load()
            return await BlobServer(archive, limit=section.serve_limit, wait=0).get(key)

    async def from_peers() -> bytes | None:
        async with connect(settings) as transport:
            peers = transport.peers("data_provider")
            if not peers:
                raise NotFound("no data provider is running", hint="try --local")
            for peer in peers:
                blob = await transport.get_blob(peer.peer_id, key)
                if blob is not None:
                    return blob
            return None

    blob = run(from_store() if local else from_peers())
    if blob is None:
        raise NotFound(f"there is no blob {key!r}")
    sys.stdout.buffer.write(blob)


@click.command(epilog="Example: prbkit fsck -c prbkit.toml")
@json_option
@config_option
def fsck(as_json: bool, config: Path | None) -> None:
    """Verify the whole store again: one line a finding, exit code 1 if there is any.

    Headers, justifications, proofs and storage changes are checked as when they were fetched.
    The data provider must not run.
    """
    from rich.console import Console
    from rich.progress import Progress

    from .archive import Archive
    from .fsck import check

    settings = load_settings(config)
    findings = []

    async def work() -> dict[str, Any]:
        async with offline(settings) as context:
            archive = Archive(await context.store())
            await archive.load()
            if not archive.begun:
                return {"relay": None, "para": None}
            with Progress(console=Console(stderr=True), transient=True) as bar:
                bars = {chain: bar.add_task(chain, total=1) for chain in ("relay", "para")}

                def progress(chain: str, at: int, end: int) -> None:
                    first = archive.genesis.relay_number if chain == "relay" else 0
                    bar.update(bars[chain], completed=at - first, total=max(1, end - first))

                findings.extend([finding async for finding in check(archive, progress)])
            return {"relay": archive.relay.number, "para": archive.para.number}

    checked = run(work())
    if as_json:
        echo_json({"checked": checked, "findings": [str(finding) for finding in findings]})
    else:
        for finding in findings:
            click.echo(str(finding))
        said = f"relay up to {checked['relay']}, para up to {checked['para']}"
        click.echo(f"{len(findings)} findings; checked {said}", err=True)
    if findings:
        sys.exit(1)


@click.command(epilog="Example: prbkit repair --from 1234567")
@click.option("--from", "first", type=click.IntRange(min=1), required=True, metavar="N")
@click.option(
    "--chain", type=click.Choice(["relay", "para"]), default="relay", help="Whose block N is."
)
@config_option
def repair(first: int, chain: str, config: Path | None) -> None:
    """Remove block N and everything derived from it, in one transaction.

    The data provider, which must not run meanwhile, fetches and verifies it again when started.
    """
    from .archive import Archive
    from .fsck import repair as take_away

    settings = load_settings(config)

    async def work() -> str:
        async with offline(settings) as context:
            archive = Archive(await context.store())
            await archive.load()
            gone = await take_away(archive, chain, first)
            return (
                f"{gone} keys removed; the store goes on behind relay block "
                f"{archive.relay.number} and para block {archive.para.number}"
            )

    click.echo(run(work()), err=True)

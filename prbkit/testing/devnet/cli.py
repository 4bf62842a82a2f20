"""``prbkit devnet``: a devnet, and simulated workers if wanted, until interrupted."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["devnet_command"]


@click.command("devnet", epilog="Example: prbkit devnet --workers 3 --block-time 1")
@click.option(
    "--workers",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Simulated pRuntime workers.",
)
@click.option(
    "--block-time",
    type=click.FloatRange(min=0, min_open=True),
    default=6.0,
    show_default=True,
    help="The relay chain's, in seconds; the parachain's is twice that.",
)
@click.option("--seed", default=0, show_default=True, help="Makes keys and hashes.")
@click.option("--relay-port", default=9944, show_default=True, help="0: any free port.")
@click.option("--para-port", default=9945, show_default=True, help="0: any free port.")
@click.option(
    "--worker-port",
    default=0,
    show_default=True,
    help="Of the first worker, the others follow; 0: any free ports.",
)
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option(
    "--history", default=0, show_default=True, help="Relay blocks made before anyone may ask."
)
@click.option(
    "--set-period", default=40, show_default=True, help="Relay blocks of an authority set."
)
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep the chains here and go on with what is there.",
)
def devnet_command(
    workers: int,
    block_time: float,
    seed: int,
    relay_port: int,
    para_port: int,
    worker_port: int,
    host: str,
    history: int,
    set_period: int,
    data_dir: Path | None,
) -> None:
    """Run a relay chain and a parachain that a bridge can follow.

    The parachain has a stake pool, number 0, which //Bob owns.
    """
    import asyncio
    import signal

    from prbkit.testing.devnet.config import DevnetConfig
    from prbkit.testing.devnet.run import Listening, run_devnet

    config = DevnetConfig(
        seed=seed,
        block_time=block_time,
        host=host,
        relay_port=relay_port,
        para_port=para_port,
        history=history,
        set_period=set_period,
        data_dir=data_dir,
    )

    def tell(listening: Listening) -> None:
        click.echo(f"relay chain  {listening.relay_url}")
        click.echo(f"parachain    {listening.para_url}")
        for index, url in enumerate(listening.workers):
            click.echo(f"worker {index}     {url}")

    async def work() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await run_devnet(config, workers=workers, worker_port=worker_port, tell=tell, stop=stop)

    asyncio.run(work())

"""``prbkit jobs``: what lies in the trade queue and what became of it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from prbkit.cli.common import config_option, echo_json, json_option, load_settings, offline, run

if TYPE_CHECKING:
    from prbkit.interfaces import JobRecord

__all__ = ["jobs"]

STATES = ("queued", "batched", "submitted", "in_block", "finalized", "failed", "expired")


@click.group()
def jobs() -> None:
    """Look at trade jobs, and try failed ones again."""


@jobs.command("list", epilog="Example: prbkit jobs list --state failed")
@config_option
@json_option
@click.option("--state", "states", multiple=True, type=click.Choice(STATES), help="Only these.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 100_000))
def list_jobs(config: Path | None, as_json: bool, states: tuple[str, ...], limit: int) -> None:
    """List jobs, newest first."""
    from prbkit.interfaces import JobState
    from prbkit.jobs import record_as_json

    wanted = [JobState(state) for state in states] or None

    async def read() -> tuple[list[JobRecord], dict[str, int]]:
        async with offline(load_settings(config)) as context:
            queue = await context.queue()
            counts = {state.value: number for state, number in (await queue.counts()).items()}
            return list(await queue.list(wanted, limit)), counts

    records, counts = run(read())
    if as_json:
        echo_json({"counts": counts, "jobs": [record_as_json(record) for record in records]})
        return
    for record in records:
        when = datetime.fromtimestamp(record.updated_at, UTC).strftime("%Y-%m-%d %H:%M:%S")
        note = f"  {record.error.message}" if record.error else ""
        click.echo(
            f"{when}  {record.state.value:<9}  pool {record.job.pid}  {record.job.key}{note}"
        )
    click.echo(", ".join(f"{number} {state}" for state, number in counts.items()), err=True)


@jobs.command("show", epilog="Example: prbkit jobs show ADD_WORKER:0x…:1")
@config_option
@json_option
@click.argument("key")
def show_job(config: Path | None, as_json: bool, key: str) -> None:
    """Show one job by its key: its state, where it was included, why each call failed."""
    from prbkit.errors import QueueError
    from prbkit.jobs import record_as_json

    async def read() -> JobRecord | None:
        async with offline(load_settings(config)) as context:
            return await (await context.queue()).get(key)

    record = run(read())
    if record is None:
        raise QueueError("the queue knows no such job", where=key, hint="see prbkit jobs list")
    if as_json:
        echo_json(record_as_json(record))
        return
    job, block = record.job, record.block
    lines = [
        ("key", job.key),
        ("action", f"{job.action}, pool {job.pid}"),
        ("put", datetime.fromtimestamp(job.created_at, UTC).isoformat(" ", "seconds")),
        ("state", record.state.value),
        ("since", datetime.fromtimestamp(record.updated_at, UTC).isoformat(" ", "seconds")),
    ]
    if record.extrinsic_hash is not None:
        lines.append(("extrinsic", f"0x{record.extrinsic_hash.hex()}"))
    if block is not None:
        lines.append(("block", f"{block.number} 0x{block.hash.hex()}"))
    for number, error in enumerate(record.errors or [record.error]):
        if error is not None:
            docs = f" ({error.docs})" if error.docs else ""
            lines.append((f"call {number}" if record.errors else "error", error.message + docs))
    for name, text in lines:
        click.echo(f"{name:<10} {text}")


@jobs.command("retry", epilog="Example: prbkit jobs retry START_COMPUTING:0x77…:1")
@config_option
@json_option
@click.argument("key")
def retry_job(config: Path | None, as_json: bool, key: str) -> None:
    """Queue a failed or expired job again, as a new one.

    Look at the chain before: what an expired job asked for may have been done. Messages that the
    chain has taken are not sent again.
    """
    import time
    from dataclasses import replace

    from prbkit.errors import QueueError
    from prbkit.interfaces import JobState

    async def put() -> str:
        async with offline(load_settings(config)) as context:
            queue = await context.queue()
            record = await queue.get(key)
            if record is None:
                raise QueueError("the queue knows no such job", where=key, hint="prbkit jobs list")
            if record.state not in (JobState.FAILED, JobState.EXPIRED):
                raise QueueError(f"the job is {record.state.value}, not failed", where=key)
            if not record.job.payload:
                raise QueueError(
                    "the job's payload is kept no longer",
                    where=key,
                    hint="who has put it puts it again",
                )
            number = 2
            # Of several who retry at once one wins: a key is queued once.
            while not await queue.put(
                replace(record.job, key=f"{key}#{number}", created_at=time.time())
            ):
                number += 1
            return f"{key}#{number}"

    new = run(put())
    if as_json:
        echo_json({"key": new})
    else:
        click.echo(new)

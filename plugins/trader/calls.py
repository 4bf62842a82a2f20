"""The calls of jobs and of batches: what goes into an extrinsic, as decisions without I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from prbkit.errors import CodecError, PrbError, TradeError
from prbkit.interfaces import OnceCall, Pool, TradeAction, TradeJob
from prbkit.scale import Metadata

from .lane import Batch
from .outcome import holds_batch

__all__ = ["Made", "batch_call", "make_calls", "owner", "serving"]


@dataclass(frozen=True, slots=True)
class Made:
    """The calls of a job, their names (`OnceCall`), and whether they must go alone."""

    calls: tuple[bytes, ...]
    once: tuple[str | None, ...]
    solo: bool


def serving(pools: Mapping[int, Pool], job: TradeJob) -> Pool:
    """Give a job's pool; raises `TradeError` where there is none that trades."""
    pool = pools.get(job.pid)
    if pool is None:
        raise TradeError(f"there is no pool with pid {job.pid}")
    if not pool.enabled:
        raise TradeError(f"the pool {job.pid} is not enabled")
    if pool.sync_only:
        raise TradeError(f"the pool {job.pid} is to sync only")
    return pool


def owner(pool: Pool, account: bytes) -> bytes | None:
    """Tell whom an account acts for; None where for itself."""
    return pool.owner if pool.owner != account else None


def make_calls(actions: Mapping[str, TradeAction], md: Metadata, pool: Pool, job: TradeJob) -> Made:
    """Make a job's calls, each proven to be one of the runtime's; raises of `PrbError`.

    :param actions: what plugins bring, by name.
    """
    action = actions.get(job.action)
    if action is None:
        raise TradeError(f"no plugin brings the trade action {job.action!r}")
    try:
        pairs = [
            (each.call, each.once) if isinstance(each, OnceCall) else (each, None)
            for each in action(md, pool, job.payload)
        ]
        if not pairs:
            raise TradeError(f"the action {job.action} makes no call of its payload")
        names = [name for _, name in pairs if name is not None]
        if len(set(names)) < len(names):
            raise TradeError("the payload asks for the same call twice")
        batches = [holds_batch(md, call) for call, _ in pairs]
        return Made(tuple(c for c, _ in pairs), tuple(n for _, n in pairs), True in batches)
    except CodecError as error:
        raise TradeError(f"not a call of this chain: {error.message}") from error
    except PrbError:
        raise
    except Exception as error:  # an action is a plugin's code: its fault ends this job alone
        raise TradeError(f"the action {job.action} failed: {error!r}") from error


def batch_call(md: Metadata, batch: Batch) -> bytes:
    """Put a batch's calls into one: always a force_batch, so that each has its own outcome."""
    calls = [call for entry in batch.entries for call in entry.calls]
    call = md.call("Utility", "force_batch", calls=calls)
    if batch.real is None:
        return call
    real, *_ = md.variants(md.pallet("Proxy").calls)["proxy"].fields
    # Runtimes of before 2022 take an account id here, later ones an address.
    is_address = md.type_info(real.type_id).kind == "variant"
    account = {"Id": batch.real} if is_address else batch.real
    return md.call("Proxy", "proxy", real=account, force_proxy_type=None, call=call)

"""What became of an extrinsic's calls, read from the events of its block. Pure.

The order of events in a (proxied) `force_batch` is that of protocol: for each call its own
events, then `Utility.ItemCompleted` or `ItemFailed`; then `BatchCompleted` or
`BatchCompletedWithErrors`; proxied, `Proxy.ProxyExecuted`; then `System.ExtrinsicSuccess` or
`ExtrinsicFailed`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prbkit.errors import CodecError
from prbkit.interfaces import JobError
from prbkit.scale import Event, Metadata

__all__ = ["EVENT_PALLETS", "Outcome", "call_errors", "dispatch_error", "holds_batch"]

EVENT_PALLETS = ("System", "Utility", "Proxy")
"""Pallets whose events tell the outcome, as far as a runtime has them."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an extrinsic's calls: one error or None each, or why nobody can tell."""

    errors: tuple[JobError | None, ...] = ()
    unknown: JobError | None = None


_BATCHES = frozenset({"batch", "batch_all", "force_batch"})


def call_errors(
    md: Metadata, events: Sequence[Event], index: int, calls: int, *, proxied: bool
) -> Sequence[JobError | None]:
    """Tell for each of an extrinsic's calls why it failed, None where it did not.

    :param events: of the block, those of `EVENT_PALLETS` at least.
    :param index: of the extrinsic in the block.
    :param calls: how many calls its force_batch holds. Calls that make batches of their own can
        be told apart from ours only where they stand alone (`holds_batch`).
    :raises CodecError: the events are not those of such an extrinsic.
    """
    mine = [event for event in events if event.phase == {"ApplyExtrinsic": index}]
    items: list[JobError | None] = []
    proxy: JobError | None = None
    for event in mine:
        match event.pallet, event.name:
            case "System", "ExtrinsicFailed":
                return [dispatch_error(md, _field(event, "dispatch_error"))] * calls
            case "Utility", "ItemCompleted":
                items.append(None)
            case "Utility", "ItemFailed":
                items.append(dispatch_error(md, _field(event, "error")))
            case "Proxy", "ProxyExecuted":
                # Proxies inside the batch come before ours, which is the last.
                result = _field(event, "result")
                failed = isinstance(result, Mapping) and "Err" in result
                proxy = dispatch_error(md, result["Err"]) if failed else None
    if not any((e.pallet, e.name) == ("System", "ExtrinsicSuccess") for e in mine):
        raise CodecError(f"the block's events say nothing of extrinsic {index}")
    if proxied and proxy is not None:
        return [proxy] * calls
    if len(items) == calls or (calls == 1 and items):
        return items[-calls:]
    raise CodecError(f"the events of extrinsic {index} tell of {len(items)} calls, not {calls}")


def dispatch_error(md: Metadata, error: Any) -> JobError:
    """Name a DispatchError; one of a module by the metadata."""
    if isinstance(error, str):
        return JobError(message=error)
    if not isinstance(error, Mapping) or len(error) != 1:
        return JobError(message=f"unknown error {error!r}")
    ((kind, detail),) = error.items()
    if kind == "Module" and isinstance(detail, Mapping):
        try:
            pallet, name, docs = md.error(detail["index"], detail["error"])
        except CodecError as unknown:
            return JobError(message=f"module error that the metadata lacks: {unknown.message}")
        return JobError(message=f"{pallet}.{name}", pallet=pallet, name=name, docs=docs or None)
    return JobError(message=f"{kind}: {detail}")


def holds_batch(md: Metadata, call: bytes) -> bool:
    """Tell whether a call may emit item events of its own. Raises `CodecError` for no call.

    A multisig call given by hash, or a scheduled one, is not looked through; the first does not
    run here as part of the call that names it, the second not in this extrinsic.
    """
    pallet, name, args = md.decode_call(call)
    return _holds_batch({pallet: {name: args}})


def _holds_batch(value: Any) -> bool:
    if isinstance(value, Mapping):
        inner = value.get("Utility")
        if isinstance(inner, Mapping) and not _BATCHES.isdisjoint(inner):
            return True
        return any(_holds_batch(item) for item in value.values())
    return isinstance(value, list | tuple) and any(_holds_batch(item) for item in value)


def _field(event: Event, name: str) -> Any:
    fields = event.fields
    if isinstance(fields, Mapping) and name in fields:
        return fields[name]
    # Runtimes of before named fields: (dispatch_error, dispatch_info), or the error alone.
    return fields[0] if isinstance(fields, tuple) and fields else fields

"""What a pool or a worker may be: pure checks of a spec, each with a message for the operator."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from urllib.parse import urlsplit

from prbkit.errors import CodecError, InventoryError
from prbkit.interfaces import PoolSpec, Ref, WorkerSpec
from prbkit.scale import ss58

__all__ = ["check_pool", "check_ref", "check_worker", "owner_account", "stake_of"]

MAX_PID = 2**63 - 1
MAX_STAKE = 2**128 - 1
PHA = 10**12
NAME_LENGTH = 200


def check_ref(ref: Ref, *, pool: bool) -> tuple[str, str | int]:
    """The column and the value that `ref` names.

    :param pool: whether it names a pool; a worker has no pid of its own.
    """
    given = [
        (column, value)
        for column, value in (("uuid", ref.uuid), ("name", ref.name), ("pid", ref.pid))
        if value is not None
    ]
    if len(given) != 1 or (given[0][0] == "pid" and not pool):
        allowed = "uuid, name or pid" if pool else "uuid or name"
        raise InventoryError(f"a {'pool' if pool else 'worker'} is named by one of {allowed}")
    return given[0]


def check_pool(spec: PoolSpec, *, new: bool) -> None:
    """Refuse a pool spec that cannot be stored.

    :param new: whether it creates the pool, so that pid and name must be there.
    """
    if new and (spec.pid is None or spec.name is None):
        raise InventoryError("a new pool needs a pid and a name")
    _check_name(spec.name)
    _check_pid(spec.pid)


def check_worker(spec: WorkerSpec, *, new: bool) -> None:
    """Refuse a worker spec that cannot be stored.

    :param new: whether it creates the worker, so that pid, name and endpoint must be there.
    """
    if new and (spec.pid is None or spec.name is None or spec.endpoint is None):
        raise InventoryError("a new worker needs a pid, a name and an endpoint")
    _check_name(spec.name)
    _check_pid(spec.pid)
    if spec.endpoint is not None:
        _check_endpoint(spec.endpoint)
    if spec.stake is not None and spec.stake != 0 and not PHA <= spec.stake <= MAX_STAKE:
        raise InventoryError(
            f"a stake of {spec.stake} base units is not possible",
            hint=f"it is 0 or at least 1 PHA, which is {PHA} base units",
        )


def owner_account(address: str) -> bytes | None:
    """Account id (32 bytes) of an owner's SS58 address, None for an empty text."""
    if not address:
        return None
    try:
        account = ss58.decode(address).payload
    except CodecError as error:
        raise InventoryError(
            f"the owner {address!r} is no SS58 address", hint=error.message
        ) from error
    if len(account) != 32:
        raise InventoryError(f"the owner {address!r} is not an account of 32 bytes")
    return account


def stake_of(value: int | str) -> int:
    """Base units of a stake: a bare number of them, or PHA when it says so (``4000 PHA``)."""
    number, unit, rest = str(value).strip().lower().partition("pha")
    try:
        amount = Decimal(number.strip().replace("_", "")) * (PHA if unit else 1)
    except InvalidOperation:
        amount = Decimal(-1)
    whole = amount.is_finite() and amount == amount.to_integral_value()
    if rest or not whole or not 0 <= amount <= MAX_STAKE:
        raise InventoryError(f"{value!r} is no stake", hint="give base units, or '4000 PHA'")
    return int(amount)


def _check_name(name: str | None) -> None:
    if name is None:
        return
    if not name.strip() or len(name) > NAME_LENGTH or not name.isprintable():
        raise InventoryError(
            f"the name {name[:NAME_LENGTH]!r} is not possible",
            hint=f"it has 1 to {NAME_LENGTH} printable characters",
        )


def _check_pid(pid: int | None) -> None:
    if pid is not None and not 0 <= pid <= MAX_PID:
        raise InventoryError(f"the pid {pid} is not possible")


def _check_endpoint(endpoint: str) -> None:
    try:
        parts = urlsplit(endpoint)
        fine = parts.scheme in ("http", "https") and bool(parts.hostname)
        _ = parts.port
    except ValueError:
        fine = False
    if not fine:
        raise InventoryError(
            f"the endpoint {endpoint!r} is no http:// or https:// URL",
            hint="it is where pRuntime listens, such as http://10.0.0.7:8000",
        )

"""Contracts of the inventory of pools and workers, and of the signers of its operators."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from prbkit.interfaces.base import Lifetime

if TYPE_CHECKING:
    from pydantic import SecretStr

    from prbkit.identity import Identity

__all__ = ["Inventory", "Pool", "PoolSpec", "Ref", "Signer", "Worker", "WorkerSpec"]


class Signer(Protocol):
    """Signs for one account. Never shows its secret, also not in `repr`."""

    account: bytes
    """Account id, 32 bytes."""
    public_key: bytes
    """32 bytes (sr25519, ed25519) or 33 (ecdsa)."""
    crypto: Literal["sr25519", "ed25519", "ecdsa"]

    async def sign(self, payload: bytes) -> bytes:
        """Signature of exactly these bytes, as a MultiSignature of the account takes it.

        sr25519: 64 bytes, under the context ``substrate``. ed25519: 64 bytes. ecdsa: 65 bytes
        (r, s, recovery id) over the payload's BLAKE2b-256; the account id is then the BLAKE2b-256
        of the public key. Raises `SignerError`.
        """
        ...


@dataclass(frozen=True, slots=True)
class Ref:
    """Names a pool or a worker by exactly one of uuid, name or (pools only) pid."""

    uuid: str | None = None
    name: str | None = None
    pid: int | None = None


@dataclass(frozen=True, slots=True)
class Pool:
    """A stake pool that this bridge serves.

    `operator` is the account (32 bytes) whose signer is sealed in the inventory, None where none
    was given; `owner` is the account that the operator is a proxy of (PRB v2's realPhalaSs58),
    None where the operator acts for itself.
    """

    uuid: str
    pid: int
    name: str
    enabled: bool = True
    sync_only: bool = False
    operator: bytes | None = None
    owner: bytes | None = None


@dataclass(frozen=True, slots=True)
class Worker:
    """A pRuntime that this bridge keeps computing. `stake` is in base units."""

    uuid: str
    pid: int
    name: str
    endpoint: str
    stake: int = 0
    enabled: bool = True
    sync_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSpec:
    """What to create or change of a pool; None leaves as it is (or at its default).

    `operator` is a signer URI (`prbkit_signer`): a mnemonic, ``//Alice``, a polkadot-js export as
    JSON text. `owner` is an SS58 address. An empty text takes either away.
    """

    pid: int | None = None
    name: str | None = None
    enabled: bool | None = None
    sync_only: bool | None = None
    operator: SecretStr | None = None
    owner: str | None = None
    deleted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSpec:
    """What to create or change of a worker; None leaves as it is (or at its default)."""

    pid: int | None = None
    name: str | None = None
    endpoint: str | None = None
    stake: int | None = None
    enabled: bool | None = None
    sync_only: bool | None = None
    deleted: bool = False


class Inventory(Lifetime, Protocol):
    """Pools and workers. Each change is one transaction: all of its items or none.

    Raises `NotFound` and `Duplicated`. Several processes may have it open; one that only reads
    sees the changes of the others.
    """

    url: str

    async def pools(self) -> Sequence[Pool]: ...

    async def workers(self) -> Sequence[Worker]: ...

    async def create_pools(self, specs: Sequence[PoolSpec]) -> Sequence[Pool]: ...

    async def update_pools(self, items: Sequence[tuple[Ref, PoolSpec]]) -> Sequence[Pool]:
        """The pools that `items` name, in that order, as they are now.

        One whose spec says `deleted` is taken away, with its workers, and returned as it was.
        """
        ...

    async def create_workers(self, specs: Sequence[WorkerSpec]) -> Sequence[Worker]: ...

    async def update_workers(self, items: Sequence[tuple[Ref, WorkerSpec]]) -> Sequence[Worker]:
        """The workers that `items` name, in that order; a deleted one as it was."""
        ...

    def together(self) -> AbstractAsyncContextManager[None]:
        """Make one transaction of all that this task asks of the inventory while it is open.

        What is read inside sees what was changed inside; leaving it by an error undoes all.
        """
        ...

    async def operator_uri(self, pool: Pool) -> SecretStr:
        """The pool's signer URI, unsealed. Raises `NotFound` or `IdentityError`."""
        ...

    async def reseal(self, identity: Identity) -> int:
        """Seal every operator under another identity, all or none; tell how many there are.

        Those that it opens already stay as they are. Raises `IdentityError` for one that neither
        it nor the identity in use opens.
        """
        ...

    def changes(self) -> AsyncIterator[None]:
        """Yield once at the start and after each change, also those of other processes.

        Several changes may be told as one. Ends only by being closed.
        """
        ...

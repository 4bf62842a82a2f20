"""What calls are made and signed by: the finalized head, its runtime, the pools, their signers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from pydantic import SecretStr

from prbkit.errors import SourceError
from prbkit.interfaces import Head, Inventory, Pool, Signer

from .chain import Chain, Runtime

__all__ = ["Facts"]


class Facts:
    """Looks facts up; remembers signers, and how far the chain was seen.

    :param open_signer: opens the signer of a URI.
    """

    def __init__(
        self,
        chain: Chain,
        inventory: Inventory,
        open_signer: Callable[[SecretStr], Awaitable[Signer]],
    ) -> None:
        self._chain = chain
        self._inventory = inventory
        self._open_signer = open_signer
        self._opened: dict[tuple[str, bytes | None], Signer] = {}
        self._signers: dict[bytes, Signer] = {}
        self._settled = 0

    async def now(self) -> tuple[Runtime, Mapping[int, Pool], Head]:
        """Look up the runtime at the finalized head, the pools by pid, and that head.

        Raises `SourceError`, also where the node is behind a block that was settled.
        """
        head = await self._chain.source.finalized_head()
        if head.number < self._settled:
            # It would give a nonce that is used up, and an era that is shorter than meant.
            raise SourceError(
                f"the node has finalized {head.number}, behind block {self._settled} of before",
                where=self._chain.source.url,
                hint="it is syncing, or endpoints follow different chains",
            )
        runtime = await self._chain.runtime(head.hash)
        return runtime, {pool.pid: pool for pool in await self._inventory.pools()}, head

    def settle(self, number: int) -> None:
        """Note that a finalized block held an extrinsic of ours."""
        self._settled = max(self._settled, number)

    async def signer(self, pool: Pool) -> Signer:
        """Give the pool's signer, opened once for each operator."""
        key = (pool.uuid, pool.operator)
        signer = self._opened.get(key)
        if signer is None:
            signer = await self._open_signer(await self._inventory.operator_uri(pool))
            self._opened[key] = signer
        # Two pools of one account sign alike; the one named last is used.
        self._signers[signer.account] = signer
        return signer

    def signer_of(self, account: bytes) -> Signer:
        """Give the signer of an account that a pool was found to sign by."""
        return self._signers[account]

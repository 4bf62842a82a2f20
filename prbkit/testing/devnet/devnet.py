"""The devnet as it runs: a network of two chains, a clock, and the endpoints that show them."""

from __future__ import annotations

import asyncio
import logging
from copy import deepcopy
from dataclasses import dataclass
from typing import Self

from prbkit.testing.devnet.chain import Chain
from prbkit.testing.devnet.config import DevnetConfig
from prbkit.testing.devnet.extensions import GrandpaRpc, PhalaRpc
from prbkit.testing.devnet.faults import Faults
from prbkit.testing.devnet.journal import Role
from prbkit.testing.devnet.network import Network, Runtimes
from prbkit.testing.devnet.node import Node, NodeInfo
from prbkit.testing.devnet.rpc import RpcServer

__all__ = ["Devnet", "Endpoint"]

log = logging.getLogger(__name__)

_BURST = 20
"""Blocks that are made in one go before others get their turn."""


@dataclass(slots=True)
class Endpoint:
    """A node's RPC. `faults` may be changed at any time."""

    role: Role
    node: Node
    server: RpcServer
    faults: Faults
    extension: GrandpaRpc | PhalaRpc

    @property
    def url(self) -> str:
        """Where it listens: `ws://…`. The same port answers HTTP POST."""
        return self.server.url

    async def refuse(self) -> None:
        """Go down: connections are cut, nothing listens."""
        await self.server.refuse()

    async def listen(self) -> None:
        """Come up again on the same port."""
        await self.server.listen()

    def cut(self) -> None:
        """Cut all connections; new ones are taken."""
        self.server.cut()

    async def close(self) -> None:
        await self.server.close()
        self.extension.close()
        self.node.close()


class Devnet:
    """A relay chain and a parachain with their RPC endpoints, while the context lasts.

    ::

        async with Devnet(DevnetConfig(history=100)) as net:
            client = await connect(net.para_url)
            await net.produce(5)

    With a `block_time` blocks are made by the clock; `produce` makes more at any time.
    """

    def __init__(
        self, config: DevnetConfig | None = None, runtimes: Runtimes | None = None
    ) -> None:
        self.config = config or DevnetConfig()
        self._runtimes = runtimes
        self.endpoints: list[Endpoint] = []
        self._network: Network | None = None
        self._clock: asyncio.Task[None] | None = None

    # --- life ------------------------------------------------------------------------------

    async def open(self) -> None:
        """Bring the chains up, with what the data directory holds, and listen.

        :raises ConfigError: for a data directory of another devnet, or a port that is taken.
        """
        config = self.config
        # Building metadata and reading a long journal take their time.
        self._network = await asyncio.to_thread(self._bring_up)
        try:
            missing = config.history - self.network.relay.best.number
            await self.produce(max(missing, 0))
            # Copies: the settings may serve another devnet.
            relay, para = deepcopy(config.relay_faults), deepcopy(config.para_faults)
            await self.add_endpoint("relay", port=config.relay_port, faults=relay)
            await self.add_endpoint("para", port=config.para_port, faults=para)
        except BaseException:
            await self.close()
            raise
        if config.block_time > 0:
            self._clock = asyncio.create_task(self._tick(), name="devnet clock")
            self._clock.add_done_callback(_report)

    def _bring_up(self) -> Network:
        if self._runtimes is None:
            from prbkit.testing.devnet.runtimes import runtimes

            self._runtimes = runtimes(self.config)
        return Network(self.config, self._runtimes)

    async def close(self) -> None:
        clock, self._clock = self._clock, None
        if clock is not None:
            clock.cancel()
            await asyncio.gather(clock, return_exceptions=True)
        endpoints, self.endpoints = self.endpoints, []
        for endpoint in endpoints:
            await endpoint.close()
        network, self._network = self._network, None
        if network is not None:
            network.close()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def run(self) -> None:
        """Stay until cancelled, or until the clock fails."""
        if self._clock is None:
            await asyncio.Event().wait()
        else:
            await asyncio.shield(self._clock)

    # --- reading ---------------------------------------------------------------------------

    @property
    def network(self) -> Network:
        assert self._network is not None, "the devnet is not open"
        return self._network

    @property
    def relay(self) -> Endpoint:
        return self.endpoints[0]

    @property
    def para(self) -> Endpoint:
        return self.endpoints[1]

    @property
    def relay_url(self) -> str:
        return self.relay.url

    @property
    def para_url(self) -> str:
        return self.para.url

    def chain(self, role: Role) -> Chain:
        return self.network.chain(role)

    # --- doing -----------------------------------------------------------------------------

    async def produce(self, blocks: int = 1) -> None:
        """Make relay blocks, and the para blocks that come with them, now."""
        for made in range(blocks):
            self.network.step()
            if made % _BURST == _BURST - 1:
                await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def reorg(self, depth: int = 1) -> None:
        """Let a fork overtake the last `depth` relay blocks, with the para blocks on them.

        :raises ValueError: where that many blocks are not unfinalized.
        """
        self.network.reorg(depth)
        await asyncio.sleep(0)

    async def add_endpoint(
        self, role: Role, *, port: int = 0, faults: Faults | None = None
    ) -> Endpoint:
        """Show a chain through one more node, with faults of its own."""
        network, config = self.network, self.config
        faults = faults if faults is not None else Faults()
        chain = network.chain(role)
        info = NodeInfo(
            role=role,
            chain=config.relay_chain if role == "relay" else config.para_chain,
            name="prbkit devnet",
            version="1.0.0",
            properties=_PROPERTIES[role],
        )
        node = Node(
            info, chain, network.pool(role), lambda block: network.runtime(role, block), faults
        )
        extension = GrandpaRpc(node, network.finality) if role == "relay" else PhalaRpc(node)
        server = RpcServer(
            [*node.methods(), *extension.methods()],
            [*node.subscriptions(), *extension.subscriptions()],
            faults,
        )
        endpoint = Endpoint(role, node, server, faults, extension)
        try:
            await server.open(config.host, port)
        except BaseException:
            await endpoint.close()
            raise
        self.endpoints.append(endpoint)
        return endpoint

    async def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            due += self.config.block_time
            now = loop.time()
            if due < now:
                # A machine that cannot keep up makes blocks later, not in bursts.
                due = now
            await asyncio.sleep(due - now)
            self.network.step()


def _report(clock: asyncio.Task[None]) -> None:
    if not clock.cancelled() and (error := clock.exception()) is not None:
        log.error("the devnet makes no more blocks", exc_info=error)


_PROPERTIES = {
    "relay": {"ss58Format": 2, "tokenDecimals": 12, "tokenSymbol": "KSM"},
    "para": {"ss58Format": 30, "tokenDecimals": 12, "tokenSymbol": "PHA"},
}

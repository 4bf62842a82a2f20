"""What every chain source must do: subclass `ChainSourceContract` and give it sources of a devnet.

A source gives what its node says, in the shapes of `prbkit.interfaces`: the chain that the suite
runs against is real, so that all it gives must hold together (headers hash to what they are asked
by, proofs prove what is read, changes lead from state to state), and its faults must come out as
the typed errors that callers fail over by.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import ClassVar

import pytest

from prbkit.blobs import decode_storage_changes, header_hash
from prbkit.errors import (
    BlockNotFound,
    RpcError,
    SourceDisconnected,
    SourceError,
    StateDiscarded,
    WrongChain,
)
from prbkit.interfaces import ChainSource, Role
from prbkit.light import (
    AuthoritySet,
    Header,
    Justification,
    Trie,
    check_chain,
    decode_authorities,
    read_proof,
)
from prbkit.scale import Metadata
from prbkit.scale.storage import hash_key
from prbkit.testing.devnet import Devnet, DevnetConfig

__all__ = ["ChainSourceContract"]


class ChainSourceContract:
    """Subclass it and override `make_source`."""

    relay_only: ClassVar[bool] = False
    """The source reads relay chains only."""

    def make_source(self, url: str, role: Role) -> ChainSource:
        """Make a source, not yet opened, of the devnet endpoint at `url` (``ws://…``).

        Its deadlines and pauses should be short: the suite cuts connections.
        """
        raise NotImplementedError

    @pytest.fixture
    async def net(self) -> AsyncIterator[Devnet]:
        config = DevnetConfig(history=60, set_period=20, justification_period=8)
        async with Devnet(config) as net:
            yield net

    @pytest.fixture
    async def relay(self, net: Devnet) -> AsyncIterator[ChainSource]:
        async with self.make_source(net.relay_url, "relay") as source:
            yield source

    @pytest.fixture
    async def para(self, net: Devnet) -> AsyncIterator[ChainSource]:
        if self.relay_only:
            pytest.skip("this source reads relay chains only")
        async with self.make_source(net.para_url, "para") as source:
            yield source

    async def test_it_says_which_chain_it_is(self, net: Devnet, relay: ChainSource) -> None:
        chain = await relay.chain()
        assert chain.name == net.config.relay_chain
        assert chain.genesis_hash == await relay.block_hash(0) == net.chain("relay").genesis.hash
        assert relay.role == "relay"
        assert [view.url for view in relay.views()] == [relay.url]

    async def test_headers_chain_and_have_the_hashes_they_are_asked_by(
        self, relay: ChainSource
    ) -> None:
        head = await relay.finalized_head()
        headers = await relay.headers(0, head.number)
        assert check_chain(headers, bytes(32), 0) == head.hash
        assert await relay.header(head.hash) == headers[-1]
        assert await relay.block_hash(head.number) == head.hash
        assert list(await relay.headers(5, 4)) == []

    async def test_what_is_not_there_is_none_or_a_typed_error(self, relay: ChainSource) -> None:
        assert await relay.block_hash(10**6) is None
        for ask in (relay.header, relay.block, lambda at: relay.storage(b"x", at)):
            with pytest.raises(BlockNotFound):
                await ask(b"\x11" * 32)
        with pytest.raises(BlockNotFound):
            await relay.headers(50, 10**6)

    async def test_blocks_bring_their_justifications(self, relay: ChainSource) -> None:
        at = await relay.block_hash(20)
        assert at is not None
        block = await relay.block(at)
        assert header_hash(block.header) == at
        assert block.extrinsics
        commit = Justification.decode(block.justifications[b"FRNK"]).commit
        assert (commit.target_number, commit.target_hash) == (20, at)

    async def test_finality_proofs_lead_to_a_justified_block(self, relay: ChainSource) -> None:
        proof = await relay.finality_proof(3)
        assert proof is not None
        last = Justification.decode(proof.justification).commit.target_number
        parent = await relay.block_hash(3)
        assert parent is not None
        assert check_chain(proof.headers, parent, 4) == proof.hash
        assert len(proof.headers) == last - 3

    async def test_proofs_prove_what_is_read(self, relay: ChainSource) -> None:
        head = await relay.finalized_head()
        root = Header.decode(await relay.header(head.hash)).state_root
        keys = [*list(await relay.keys(b"", head.hash))[:20], b"absent"]
        values = await relay.storage_many(keys, head.hash)
        proof = await relay.read_proof(keys, head.hash)
        assert [read_proof(root, proof, key) for key in keys] == list(values)
        assert [await relay.storage(key, head.hash) for key in keys] == list(values)
        assert values[-1] is None

    async def test_pairs_are_the_whole_state(self, para: ChainSource) -> None:
        genesis = await para.block_hash(0)
        assert genesis is not None
        pairs = await para.pairs(b"", genesis)
        assert [key for key, _ in pairs] == sorted(key for key, _ in pairs)
        assert Trie(pairs).root == Header.decode(await para.header(genesis)).state_root
        prefix = pairs[len(pairs) // 2][0][:16]
        some = [(key, value) for key, value in pairs if key.startswith(prefix)]
        assert list(await para.pairs(prefix, genesis)) == some
        assert list(await para.keys(prefix, genesis)) == [key for key, _ in some]

    async def test_unsafe_calls_that_are_refused_are_done_another_way(
        self, net: Devnet, para: ChainSource
    ) -> None:
        genesis = net.chain("para").genesis.hash
        pairs = await para.pairs(b"", genesis)
        net.para.faults.deny_unsafe = True
        assert list(await para.pairs(b"", genesis)) == list(pairs)

    async def test_storage_changes_lead_from_state_to_state(self, para: ChainSource) -> None:
        genesis = await para.block_hash(0)
        assert genesis is not None
        last = (await para.finalized_head()).number
        trie = Trie(await para.pairs(b"", genesis))
        headers = await para.headers(1, last)
        changes = await para.storage_changes(1, last)
        assert len(changes) == last
        for header, change in zip(headers, changes, strict=True):
            assert trie.apply(*decode_storage_changes(change)) == Header.decode(header).state_root

    async def test_metadata_and_version_are_the_runtimes(self, para: ChainSource) -> None:
        Metadata.decode(await para.metadata())
        version = await para.runtime_version()
        assert version.spec_name
        assert version.spec_version > 0

    async def test_finalized_heads_rise_and_show_gaps(
        self, net: Devnet, relay: ChainSource
    ) -> None:
        heads = relay.finalized_heads()
        async with asyncio.timeout(30):
            first = await anext(heads)
            assert first == await relay.finalized_head()
            numbers = [first.number]
            for _ in range(4):
                await net.produce(3)
                numbers.append((await anext(heads)).number)
            net.relay.faults.drop_after = 0
            await net.produce(9)
            newest = net.chain("relay").finalized.number
            while numbers[-1] < newest:
                numbers.append((await anext(heads)).number)
            await heads.aclose()  # type: ignore[attr-defined]
        assert numbers == sorted(set(numbers))

    async def test_many_calls_at_once_get_their_own_answers(
        self, net: Devnet, relay: ChainSource
    ) -> None:
        found = await asyncio.gather(*(relay.block_hash(n % 60) for n in range(600)))
        chain = [block.hash for block in net.chain("relay").blocks(0, 59)]
        assert found == [chain[n % 60] for n in range(600)]

    async def test_a_pruned_state_is_named(self, net: Devnet, relay: ChainSource) -> None:
        net.relay.faults.prune = 4
        with pytest.raises(StateDiscarded) as caught:
            await relay.storage(b"key", await relay.block_hash(1))
        assert caught.value.where == relay.url
        assert caught.value.hint

    async def test_a_bad_extrinsic_is_rejected(self, para: ChainSource) -> None:
        with pytest.raises(RpcError) as caught:
            await para.submit(b"\x10\x84abc")
        assert 1000 <= caught.value.rpc_code <= 1019
        assert list(await para.pending_extrinsics()) == []
        assert await para.account_nonce(bytes(32)) == 0

    async def test_an_endpoint_that_goes_away_is_named_and_comes_back(
        self, net: Devnet, relay: ChainSource
    ) -> None:
        assert await relay.block_hash(1)
        net.relay.faults.dead = True
        net.relay.cut()
        error = await _error(relay)
        assert isinstance(error, SourceDisconnected)
        assert error.where == relay.views()[0].url
        net.relay.faults.dead = False
        await _well(relay)

    async def test_an_endpoint_that_changes_its_chain_is_refused(
        self, net: Devnet, relay: ChainSource
    ) -> None:
        assert await relay.block_hash(1)
        net.relay.faults.genesis_hash = b"\x22" * 32
        net.relay.cut()
        error = await _error(relay, of=WrongChain)
        assert error.hint
        net.relay.faults.genesis_hash = None
        net.relay.cut()
        await _well(relay)

    async def test_it_closes_twice_and_then_says_so(self, net: Devnet) -> None:
        source = self.make_source(net.relay_url, "relay")
        await source.open()
        await source.block_hash(0)
        await source.close()
        await source.close()
        with pytest.raises(SourceError):
            await source.block_hash(0)

    async def test_the_authority_set_justifies_what_it_should(self, relay: ChainSource) -> None:
        """The chain is real: its finality proofs verify under the set that its state holds."""
        genesis = await relay.block_hash(0)
        key = hash_key("Twox128", b"Grandpa") + hash_key("Twox128", b"Authorities")
        value = await relay.storage(key, genesis)
        assert value is not None
        sets = AuthoritySet(tuple(decode_authorities(value)), 0)
        proof = await relay.finality_proof(0)
        assert proof is not None
        sets.verify(proof.headers[-1], proof.justification)


async def _error(source: ChainSource, of: type[SourceError] = SourceError) -> SourceError:
    """Ask until an error of that kind comes."""
    async with asyncio.timeout(30):
        while True:
            try:
                await source.block_hash(1)
            except of as error:
                return error
            except SourceDisconnected:
                pass
            await asyncio.sleep(0.01)


async def _well(source: ChainSource) -> None:
    """Ask until there is an answer."""
    async with asyncio.timeout(30):
        while True:
            try:
                await source.block_hash(1)
            except SourceError:
                await asyncio.sleep(0.01)
            else:
                return

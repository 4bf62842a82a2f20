"""Where a bridge begins: the relay block before the one that para block 1 builds on.

What a worker is initialised with (GenesisBlockInfo and the parachain's genesis state) cannot be
proven from anything earlier, so all endpoints are asked and must agree; what can be checked in
itself (proof, state root) is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from prbkit.blobs import header_hash
from prbkit.errors import BlockNotFound, SourceError, VerificationError, WrongChain
from prbkit.interfaces import ChainSource, Head
from prbkit.light import AuthoritySet, Header, read_proof, scheduled_change
from prbkit.scale import Metadata

from .facts import AUTHORITY_KEYS, PARA_ID, VALIDATION_DATA, RelayTip
from .verify import checking, read_authorities, verify_genesis_state

__all__ = ["Origin", "ParaOrigin", "agreed_hash", "fetch_para_origin", "fetch_relay_origin"]


@dataclass(frozen=True, slots=True)
class ParaOrigin:
    """The parachain's beginning: blocks 0 and 1, genesis state, and the first relay parent."""

    para_id: int
    header: bytes
    first_hash: bytes
    pairs: Sequence[tuple[bytes, bytes]]
    relay_parent: int


@dataclass(frozen=True, slots=True)
class Origin:
    """All that the `Genesis` document is made of, checked."""

    para: ParaOrigin
    relay_header: bytes
    authorities: AuthoritySet
    proof: Sequence[bytes]

    @property
    def tip(self) -> RelayTip:
        """The relay block that the first segment follows.

        No parachain block can be included there but the genesis: block 1 builds on the next.
        """
        header = Header.decode(self.relay_header)
        changes = scheduled_change(self.relay_header) is not None
        head = Head(0, header_hash(self.para.header))
        return RelayTip(header.number, header.hash, self.authorities, changes, head)


async def agreed_hash(views: Sequence[ChainSource], number: int) -> bytes:
    """Hash of a block that all endpoints that have it agree on.

    Raises `VerificationError` where they do not, `BlockNotFound` where none has it.
    """
    found: dict[str, bytes] = {}
    error: SourceError | None = None
    for view in views:
        try:
            digest = await view.block_hash(number)
        except SourceError as failed:
            error = failed
            continue
        if digest is not None:
            found[view.url] = digest
    if not found:
        raise error or BlockNotFound(f"no endpoint has block {number} yet")
    if len(set(found.values())) > 1:
        said = ", ".join(f"{url} says 0x{digest.hex()}" for url, digest in found.items())
        raise VerificationError(
            f"the endpoints do not agree on block {number}: {said}",
            hint="take the wrong one out of the endpoints; this block is what all else stands on",
        )
    return next(iter(found.values()))


async def fetch_para_origin(views: Sequence[ChainSource], view: ChainSource) -> ParaOrigin:
    """Fetch and check the parachain's genesis from one endpoint."""
    if (await view.finalized_head()).number < 1:
        raise BlockNotFound("para block 1 is not finalized yet", where=view.url)
    zero, one = await agreed_hash(views, 0), await agreed_hash(views, 1)
    header, first = await view.header(zero), await view.header(one)
    with checking("header hash", view.url, "para blocks 0 and 1"):
        if (header_hash(header), header_hash(first)) != (zero, one):
            raise VerificationError("the headers do not have the hashes that the node names")
        root = Header.decode(first).state_root
        if Header.decode(first).parent_hash != zero:
            raise VerificationError("block 1 does not follow block 0")
    pairs = await view.pairs(b"", zero)
    verify_genesis_state(pairs, header, view.url)
    proof = await view.read_proof([PARA_ID, VALIDATION_DATA], one)
    metadata = Metadata.decode(await view.metadata(one))
    if not {"ParachainInfo", "ParachainSystem"} <= metadata.pallets.keys():
        raise WrongChain(
            "it follows no parachain: its runtime has no pallet ParachainInfo",
            where=view.url,
            hint="are relay.endpoints and para.endpoints swapped?",
        )
    with checking("proof of the parachain's id and relay parent", view.url, "para block 1"):
        para_id = metadata.decode_storage(
            "ParachainInfo", "ParachainId", read_proof(root, proof, PARA_ID)
        )
        data = metadata.decode_storage(
            "ParachainSystem", "ValidationData", read_proof(root, proof, VALIDATION_DATA)
        )
        if not isinstance(para_id, int) or not isinstance(data, dict):
            raise VerificationError("the state of block 1 does not say of which relay block it is")
        parent = data.get("relay_parent_number")
        if not isinstance(parent, int) or parent < 1:
            raise VerificationError(f"block 1 names {parent} as its relay block")
    return ParaOrigin(para_id, header, one, pairs, parent)


async def fetch_relay_origin(
    views: Sequence[ChainSource], view: ChainSource, para: ParaOrigin
) -> Origin:
    """Fetch and check the relay genesis of a parachain from one endpoint."""
    number = para.relay_parent - 1
    at = await agreed_hash(views, number)
    header = await view.header(at)
    block = f"relay block {number}"
    proof = await view.read_proof(AUTHORITY_KEYS, at)
    with checking("header hash", view.url, block):
        if header_hash(header) != at:
            raise VerificationError("the header does not have the hash that the node names")
        root = Header.decode(header).state_root
    with checking("authority set proof", view.url, block):
        authorities = read_authorities(root, proof)
    return Origin(para, header, authorities, proof)

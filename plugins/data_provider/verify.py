"""What must hold before anything is committed: pure checks that name endpoint, block and check.

The rules are those of pRuntime's light client, so what passes here is accepted
there.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from prbkit.blobs import header_number
from prbkit.errors import (
    CodecError,
    JustificationError,
    ProofError,
    VerificationError,
)
from prbkit.interfaces import Head
from prbkit.light import (
    AuthoritySet,
    Header,
    ProofReader,
    Trie,
    check_chain,
    decode_authorities,
    scheduled_change,
)

from .facts import (
    AUTHORITIES,
    AUTHORITIES_OLD,
    CURRENT_SET_ID,
    RelayRange,
    RelayTip,
    para_head_key,
)

__all__ = [
    "checking",
    "read_authorities",
    "read_para_head",
    "verify_genesis_state",
    "verify_para_headers",
    "verify_relay",
]


@contextlib.contextmanager
def checking(check: str, endpoint: str, block: str) -> Iterator[None]:
    """Turn what a check raises into a `VerificationError` that names endpoint, block and check."""
    try:
        yield
    except (CodecError, JustificationError, ProofError, VerificationError) as error:
        raise VerificationError(
            f"{check}: {error.message}",
            where=f"{endpoint}, {block}",
            hint=error.hint or "the endpoint lies, or its database is corrupt",
        ) from error


async def verify_relay(tip: RelayTip, raw: RelayRange, para_id: int, endpoint: str) -> RelayTip:
    """Check a relay range against the committed tip; the tip after it. Raises `VerificationError`.

    Signatures are checked in slices, so that the loop goes on in between.
    """
    first = tip.number + 1
    block = f"relay blocks {first} to {tip.number + len(raw.headers)}"
    with checking("parent chain", endpoint, block):
        if not raw.headers:
            raise VerificationError("there are no headers")
        last_hash = check_chain(raw.headers, tip.hash, first)
    last = raw.headers[-1]
    number = header_number(last)
    block = f"relay block {number}"
    with checking("authority set change", endpoint, block):
        for header in raw.headers[:-1]:
            if scheduled_change(header) is not None:
                raise VerificationError(
                    f"block {header_number(header)} schedules a change inside the range"
                )
        change = scheduled_change(last)
        after = tip.authorities.after(last)
    with checking("justification", endpoint, block):
        await tip.authorities.verify_async(last, raw.justification)
    root = Header.decode(last).state_root
    if change is not None:
        with checking("authority set proof", endpoint, block):
            if raw.change_proof is None:
                raise VerificationError("the proof of the new authority set is missing")
            if read_authorities(root, raw.change_proof) != after:
                raise VerificationError(
                    "the state does not hold the authority set that the digest schedules"
                )
    with checking("para head proof", endpoint, block):
        head = Header.decode(read_para_head(root, raw.para_proof, para_id))
        if head.number < tip.para.number or (
            head.number == tip.para.number and head.hash != tip.para.hash
        ):
            raise VerificationError(
                f"para head {head.number} does not follow {tip.para.number} of before"
            )
    return RelayTip(number, last_hash, after, change is not None, Head(head.number, head.hash))


def read_authorities(root: bytes, proof: Sequence[bytes]) -> AuthoritySet:
    """The authority set that a state holds, read from a proof of `AUTHORITY_KEYS`.

    pRuntime reads ``Grandpa.Authorities`` first and must find its absence proven before it takes
    the old key. Raises `ProofError`, `CodecError` or `VerificationError`.
    """
    reader = ProofReader(root, proof)
    value, versioned = reader.get(AUTHORITIES), False
    if value is None:
        value, versioned = reader.get(AUTHORITIES_OLD), True
    if value is None:
        raise VerificationError("the state has no GRANDPA authorities")
    set_id = reader.get(CURRENT_SET_ID)
    if set_id is not None and len(set_id) != 8:
        raise CodecError(f"Grandpa.CurrentSetId has 8 bytes, not {len(set_id)}")
    authorities = tuple(decode_authorities(value, versioned=versioned))
    return AuthoritySet(authorities, int.from_bytes(set_id or b"", "little"))


def read_para_head(root: bytes, proof: Sequence[bytes], para_id: int) -> bytes:
    """SCALE header of the parachain's head in a relay state."""
    value = ProofReader(root, proof).get(para_head_key(para_id))
    if value is None:
        raise VerificationError(f"the relay chain knows no head of parachain {para_id}")
    length, offset = _compact(value)
    if len(value) - offset != length:
        raise CodecError("Paras.Heads is not exactly one header in bytes")
    return value[offset:]


def verify_para_headers(tip: Head, headers: Sequence[bytes], head: Head, endpoint: str) -> None:
    """Check that headers lead from the committed tip to exactly the proven head."""
    block = f"para blocks {tip.number + 1} to {head.number}"
    with checking("para header chain", endpoint, block):
        last = check_chain(headers, tip.hash, tip.number + 1)
        if len(headers) != head.number - tip.number or last != head.hash:
            raise VerificationError(
                f"the headers end at 0x{last.hex()}, the proven head is 0x{head.hash.hex()}"
            )


def verify_genesis_state(
    pairs: Sequence[tuple[bytes, bytes]], header: bytes, endpoint: str
) -> None:
    """Check that the pairs are the whole state of para block 0."""
    with checking("genesis state root", endpoint, "para block 0"):
        genesis = Header.decode(header)
        if genesis.number != 0:
            raise VerificationError(f"the genesis header has the number {genesis.number}")
        root = genesis.state_root
        if root not in (Trie(pairs).root, Trie(pairs, version=1).root):
            raise VerificationError(f"the pairs do not give the state root 0x{root.hex()}")


def _compact(value: bytes) -> tuple[int, int]:
    mode = value[0] & 3 if value else 3
    width = (1, 2, 4, 0)[mode]
    if not width or len(value) < width:
        raise CodecError("Paras.Heads has no length")
    return int.from_bytes(value[:width], "little") >> 2, width

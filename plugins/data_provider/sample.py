"""Checks storage changes by samples, where the whole state is not kept.

What a block is said to have changed is read back from the state after it, with a proof under the
header's state root. So a false value in the block looked at is found; a change left out is not,
which takes the whole state (`state.ParaState`).
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from prbkit.blobs import decode_storage_changes
from prbkit.errors import VerificationError
from prbkit.interfaces import ChainSource
from prbkit.light import CHILD_PREFIX, Header, ProofReader

from .verify import checking

__all__ = ["check_sample"]

_KEYS = 256
"""Most keys that one proof is asked for."""


async def check_sample(
    view: ChainSource, headers: Sequence[bytes], changes: Sequence[bytes], choice: random.Random
) -> None:
    """Check one block of a range, picked by `choice`, against proofs of the same endpoint.

    :raises VerificationError: where a value is not what the state holds.
    :raises SourceError: where the endpoint gives no proof.
    """
    at = choice.randrange(len(headers))
    header = Header.decode(headers[at])
    block = f"para block {header.number}"
    with checking("storage changes", view.url, block):
        main, _ = decode_storage_changes(changes[at])
    # A child's root is set by the changes of the child, whatever is listed for it.
    values = {key: value for key, value in main if not key.startswith(CHILD_PREFIX)}
    keys = choice.sample(sorted(values), min(len(values), _KEYS))
    if not keys:
        return
    proof = await view.read_proof(keys, header.hash)
    with checking("storage changes", view.url, block):
        reader = ProofReader(header.state_root, proof)
        for key in keys:
            if reader.get(key) != values[key]:
                raise VerificationError(f"the state does not hold what is said of 0x{key.hex()}")

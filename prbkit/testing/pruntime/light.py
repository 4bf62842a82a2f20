"""The light client of a simulated pRuntime: what it accepts, and in which order it checks.

The rules are those of pRuntime's own chain synchroniser (protocol.md, section 2). Nothing here
does I/O. A refusal raises `Refused` and says which rule was broken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from prbkit.blobs import header_hash
from prbkit.errors import CodecError, JustificationError, PrbError, ProofError
from prbkit.light import (
    Header,
    ProofReader,
    Trie,
    decode_authorities,
    read_proof,
    scheduled_change,
    verify_justification,
)
from prbkit.testing.layouts import blob
from prbkit.testing.pruntime.keys import storage_prefix, twox_64_concat

__all__ = ["LightClient", "Poisoned", "Refused"]

GRANDPA_AUTHORITIES = storage_prefix("Grandpa", "Authorities")
WELL_KNOWN_AUTHORITIES = b":grandpa_authorities"
PARA_ID = storage_prefix("ParachainInfo", "ParachainId")
PARAS_HEADS = storage_prefix("Paras", "Heads")


class Refused(PrbError):
    """The worker refuses a request; its text is what the caller sees."""

    code = "pruntime.refused"


class Poisoned(PrbError):
    """What kills the real pRuntime instead of making it answer (a wrong genesis proof)."""

    code = "pruntime.killed"


@dataclass(slots=True)
class LightClient:
    """Positions and roots of one worker. `next_*` are the numbers expected next."""

    genesis_relay: int
    next_relay: int
    next_para: int
    next_block: int
    waiting: bool
    authorities: list[tuple[bytes, int]]
    set_id: int
    relay_hash: bytes
    relay_state_root: bytes
    para_id: int
    para_roots: dict[int, bytes]
    """State roots of the para headers from the last dispatched block on."""
    state: Trie
    """All of the parachain's state."""

    @classmethod
    def start(
        cls,
        relay_header: bytes,
        authorities: Sequence[tuple[bytes, int]],
        set_id: int,
        proof: Sequence[bytes],
        genesis_state: Sequence[tuple[bytes, bytes]],
        first_para_header: int,
    ) -> LightClient:
        header = Header.decode(relay_header)
        try:
            proven = _proven_authorities(header.state_root, proof)
        except PrbError as error:
            raise Poisoned(f"the genesis proof is wrong: {error}") from error
        if proven != list(authorities):
            raise Poisoned("the genesis authorities are not those that the proof proves")
        state = Trie(genesis_state)
        if (para_id := state.get(PARA_ID)) is None:
            raise Refused("the genesis state holds no ParachainInfo.ParachainId")
        return cls(
            genesis_relay=header.number,
            next_relay=header.number + 1,
            next_para=first_para_header,
            next_block=1,
            waiting=False,
            authorities=list(authorities),
            set_id=set_id,
            relay_hash=header_hash(relay_header),
            relay_state_root=header.state_root,
            para_id=int.from_bytes(para_id, "little"),
            para_roots={},
            state=state,
        )

    # --- relay headers -----------------------------------------------------------------------

    def sync_relay(self, headers: Sequence[tuple[bytes, bytes | None]]) -> int:
        """Accept consecutive headers of which the last is justified; the last number now."""
        parsed = [(Header.decode(raw), raw, proof) for raw, proof in headers]
        todo = [item for item in parsed if item[0].number >= self.next_relay]
        if not todo:
            return self.next_relay - 1
        parent, number = self.relay_hash, self.next_relay
        for header, raw, _ in todo:
            if header.number != number:
                raise Refused(f"Unexpected header: expected {number}, got {header.number}")
            if header.parent_hash != parent:
                raise Refused(f"Header {number} does not follow its parent")
            parent, number = header_hash(raw), number + 1
        last, raw, justification = todo[-1]
        if justification is None:
            raise Refused("The last header has no justification")
        try:
            verify_justification(
                justification,
                target_hash=parent,
                target_number=last.number,
                authorities=self.authorities,
                set_id=self.set_id,
            )
        except JustificationError as error:
            raise Refused(f"bad justification for header: {error}") from error
        if (change := scheduled_change(raw)) is not None:
            if change.delay != 0:
                raise Refused(f"ScheduledChange with delay {change.delay}")
            self.authorities = list(change.authorities)
            self.set_id += 1
        self.next_relay = number
        self.relay_hash = parent
        self.relay_state_root = last.state_root
        self.waiting = True
        return last.number

    # --- para headers ------------------------------------------------------------------------

    def sync_para(self, headers: Sequence[bytes], proof: Sequence[bytes]) -> int:
        """Accept headers up to exactly the head that the newest relay state holds.

        :return: the last number now, modulo 2^32.
        """
        parsed = [(Header.decode(raw), raw) for raw in headers]
        todo = [item for item in parsed if item[0].number >= self.next_para]
        if not todo:
            return (self.next_para - 1) % 2**32
        if not self.waiting:
            raise Refused("Unexpected para headers: no relay header was synced before")
        parent, number = None, self.next_para
        for header, raw in todo:
            if header.number != number:
                raise Refused(f"Unexpected para header: expected {number}, got {header.number}")
            if parent is not None and header.parent_hash != parent:
                raise Refused(f"Para header {number} does not follow its parent")
            parent, number = header_hash(raw), number + 1
        try:
            value = read_proof(self.relay_state_root, proof, self._heads_key())
        except ProofError as error:
            raise Refused(f"bad para header proof: {error}") from error
        if value is None or _unwrap(value) != todo[-1][1]:
            raise Refused("The last para header is not the head that the relay chain proves")
        self.para_roots.update((header.number, header.state_root) for header, _ in todo)
        self.next_para = number
        self.waiting = False
        return number - 1

    def _heads_key(self) -> bytes:
        return PARAS_HEADS + twox_64_concat(self.para_id.to_bytes(4, "little"))

    # --- blocks ------------------------------------------------------------------------------

    def dispatch(
        self,
        number: int,
        main: Sequence[tuple[bytes, bytes | None]],
        children: Sequence[tuple[bytes, Sequence[tuple[bytes, bytes | None]]]],
    ) -> None:
        """Apply one block's changes; its state root must come out."""
        if number != self.next_block:
            raise Refused(f"Unexpected block: expected {self.next_block}, got {number}")
        if number >= self.next_para:
            raise Refused(f"Unexpected block: header {number} is not synced")
        # What the first block is applied to was given, not made: the genesis or a loaded state.
        if self.para_roots.get(number - 1, self.state.root) != self.state.root:
            raise Refused(f"The state is not that of para header {number - 1}")
        undo = [(key, self.state.get(key)) for key, _ in main]
        undo_children = [
            (name, [(key, self.state.get(key, name)) for key, _ in changes])
            for name, changes in children
        ]
        if self.state.apply(main, children) != self.para_roots[number]:
            self.state.apply(undo, undo_children)
            raise Refused(f"State root mismatch at block {number}")
        self.para_roots.pop(number - 1, None)
        self.next_block = number + 1

    def copy(self) -> LightClient:
        """A second client in the same place."""
        state = Trie(
            self.state.items(),
            [(name, self.state.items(child=name)) for name in self.state.children()],
        )
        return replace(self, state=state, para_roots=dict(self.para_roots))

    def load(self, number: int, state: Sequence[tuple[bytes, bytes]]) -> None:
        """Take a whole state instead of the blocks up to `number` (LoadChainState)."""
        if number == 0:
            raise Refused("Can not load the genesis state")
        loaded = Trie(state)
        if loaded.get(PARA_ID) != self.para_id.to_bytes(4, "little"):
            raise Refused("The state is another parachain's")
        self.state = loaded
        self.para_roots.clear()
        self.next_block, self.next_para = number + 1, number


def _proven_authorities(root: bytes, proof: Sequence[bytes]) -> list[tuple[bytes, int]]:
    """The list under a relay state root: Grandpa.Authorities, or where it is proven absent the
    well-known key, whose value begins with a version byte."""
    reader = ProofReader(root, proof)
    value = reader.get(GRANDPA_AUTHORITIES)
    if value is not None:
        return decode_authorities(value)
    value = reader.get(WELL_KNOWN_AUTHORITIES)
    if value is None:
        raise ProofError("no authorities are proven")
    return decode_authorities(value, versioned=True)


def _unwrap(value: bytes) -> bytes:
    """The header inside of `Paras.Heads`' value, which is Bytes."""
    try:
        return blob.decode(value)
    except CodecError as error:
        raise Refused("The proven para head is not Bytes") from error

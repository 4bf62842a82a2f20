"""Where the sync stands, and what a node answered before it is believed."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from prbkit.errors import CodecError, StoreError
from prbkit.interfaces import Head
from prbkit.light import AuthoritySet
from prbkit.scale.storage import hash_key

__all__ = [
    "AUTHORITIES",
    "AUTHORITIES_OLD",
    "AUTHORITY_KEYS",
    "CURRENT_SET_ID",
    "PARA_ID",
    "VALIDATION_DATA",
    "RelayRange",
    "RelayTip",
    "decode_head",
    "encode_head",
    "para_head_key",
]


def _item(pallet: str, name: str) -> bytes:
    return hash_key("Twox128", pallet.encode()) + hash_key("Twox128", name.encode())


AUTHORITIES_OLD = b":grandpa_authorities"
AUTHORITIES = _item("Grandpa", "Authorities")
CURRENT_SET_ID = _item("Grandpa", "CurrentSetId")
AUTHORITY_KEYS = (AUTHORITIES_OLD, CURRENT_SET_ID, AUTHORITIES)
"""What pRuntime's proof of an authority set must show: the absent one too."""

PARA_ID = _item("ParachainInfo", "ParachainId")
VALIDATION_DATA = _item("ParachainSystem", "ValidationData")


def para_head_key(para_id: int) -> bytes:
    """Storage key of ``Paras.Heads(para_id)`` on the relay chain."""
    return _item("Paras", "Heads") + hash_key("Twox64Concat", para_id.to_bytes(4, "little"))


_TIP = struct.Struct(">I32s?I32s")


@dataclass(frozen=True, slots=True)
class RelayTip:
    """The last relay block of what is committed.

    :param authorities: the set that justifies what comes next.
    :param ends_set: the block schedules a change, so what comes next is of a new set.
    :param para: the parachain head that the block's state includes.
    """

    number: int
    hash: bytes
    authorities: AuthoritySet
    ends_set: bool
    para: Head

    def encode(self) -> bytes:
        head = _TIP.pack(self.number, self.hash, self.ends_set, self.para.number, self.para.hash)
        return head + self.authorities.encode()

    @classmethod
    def decode(cls, data: bytes) -> RelayTip:
        try:
            number, digest, ends_set, para, para_hash = _TIP.unpack_from(data)
            authorities = AuthoritySet.decode(data[_TIP.size :])
        except (struct.error, CodecError) as error:
            raise StoreError("the store's relay mark cannot be read") from error
        return cls(number, digest, authorities, ends_set, Head(para, para_hash))


def encode_head(head: Head) -> bytes:
    return head.number.to_bytes(4, "big") + head.hash


def decode_head(data: bytes) -> Head:
    if len(data) != 36:
        raise StoreError("the store's mark of the parachain cannot be read")
    return Head(int.from_bytes(data[:4], "big"), data[4:])


@dataclass(frozen=True, slots=True)
class RelayRange:
    """What a node gave for one relay segment; nothing of it is checked.

    :param headers: consecutive SCALE headers, the last one justified.
    :param para_proof: read proof of the parachain's head at the last block.
    :param change_proof: read proof of `AUTHORITY_KEYS` there, where the last header's digest
        schedules a change.
    """

    headers: Sequence[bytes]
    justification: bytes
    para_proof: Sequence[bytes]
    change_proof: Sequence[bytes] | None

"""What the genesis states of both chains have in common."""

from __future__ import annotations

from collections.abc import Mapping

from prbkit.testing.devnet.dispatch import Context
from prbkit.testing.devnet.runtime import RuntimeVersion
from prbkit.testing.devnet.tables import EXISTENTIAL_DEPOSIT

__all__ = ["COMMON_APIS", "TREASURY", "base_genesis", "code"]

#: Where fees go: the account of the treasury pallet.
TREASURY = b"modlpy/trsry".ljust(32, b"\0")
#: Runtime APIs (the first eight bytes of blake2b-64 of their names): Core, Metadata,
#: TaggedTransactionQueue, AccountNonceApi, TransactionPaymentApi.
COMMON_APIS = (
    (bytes.fromhex("df6acb689907609b"), 4),
    (bytes.fromhex("37e397fc7c91f5e4"), 1),
    (bytes.fromhex("d2bc9897eed08f15"), 3),
    (bytes.fromhex("bc9d89904f5b923f"), 1),
    (bytes.fromhex("37c8bb1350a9a2a8"), 3),
)
#: What a FRAME chain's genesis has in place of a parent.
NO_PARENT = bytes([0x45]) * 32
_EXTRINSIC_INDEX = b":extrinsic_index"


def code(version: RuntimeVersion) -> bytes:
    """Return what stands in for the runtime's code: an empty wasm module that names its version.

    A custom section holds the version, as ``runtime_version`` does in real code.
    """
    content = b"\x0fruntime_version" + version.encode()
    return b"\0asm\1\0\0\0" + b"\0" + _leb128(len(content)) + content


def _leb128(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def base_genesis(ctx: Context, version: RuntimeVersion, endowed: Mapping[bytes, int]) -> None:
    """Write code, version, accounts and issuance."""
    ctx.storage.write(b":code", code(version))
    ctx.storage.write(_EXTRINSIC_INDEX, bytes(4))
    ctx.put("System", "BlockHash", 0, NO_PARENT)
    ctx.put("System", "ParentHash", NO_PARENT)
    ctx.put("System", "UpgradedToU32RefCount", True)
    ctx.put("System", "UpgradedToTripleRefCount", True)
    ctx.put(
        "System",
        "LastRuntimeUpgrade",
        {"spec_version": version.spec_version, "spec_name": version.spec_name},
    )
    accounts = {TREASURY: EXISTENTIAL_DEPOSIT, **endowed}
    for who, amount in accounts.items():
        data = {"free": amount, "reserved": 0, "misc_frozen": 0, "fee_frozen": 0}
        info = {"nonce": 0, "consumers": 0, "providers": 1, "sufficients": 0, "data": data}
        ctx.put("System", "Account", who, info)
    ctx.put("Balances", "TotalIssuance", sum(accounts.values()))
    ctx.put("TransactionPayment", "NextFeeMultiplier", 10**18)
    ctx.put("TransactionPayment", "StorageVersion", "V2")

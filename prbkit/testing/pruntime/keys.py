"""The few storage keys that pRuntime knows without any metadata."""

from __future__ import annotations

from prbkit._native import core as native

__all__ = ["storage_prefix", "twox_64_concat"]


def storage_prefix(pallet: str, item: str) -> bytes:
    return native.twox_128(pallet.encode()) + native.twox_128(item.encode())


def twox_64_concat(key: bytes) -> bytes:
    return native.twox_64(key) + key

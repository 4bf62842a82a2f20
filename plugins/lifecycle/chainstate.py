"""What stands on chain of a runner's workers, kept current from storage changes: no I/O.

A handful of storage keys is watched for each worker. Their values come from one read at a block
and from then on out of the changes of each following block, which pass by anyway; whatever else
changed is skipped without decoding.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from prbkit.blobs import decode_origin, decode_storage_changes
from prbkit.scale import Metadata

from .onchain import Session, WorkerOnChain

__all__ = ["CODE", "ChainState"]

CODE = b":code"
"""The key that changes when the runtime is upgraded."""


class ChainState:
    """Values of the watched keys after block `block`.

    :param metadata: of the runtime in force after that block.
    :raises CodecError: by all that makes keys or reads values, where the runtime has none of
        Phala's pallets or other types than known.
    """

    def __init__(self, metadata: Metadata, block: int) -> None:
        self.block = block
        self.upgraded = False
        """Whether a block that was applied has changed the runtime: renew the metadata."""
        self._metadata = metadata
        self._values: dict[bytes, bytes | None] = {}
        self._watched: set[bytes] = set()
        self._workers: set[bytes] = set()
        self._origins: set[bytes] = set()

    # --- what is watched

    def watch_worker(self, public_key: bytes) -> None:
        """Watch a worker (32 bytes), its session included."""
        if public_key not in self._workers:
            self._workers.add(public_key)
            self._watched.update(
                self._key(*item, public_key)
                for item in (
                    ("PhalaRegistry", "Workers"),
                    ("PhalaStakePoolv2", "WorkerAssignments"),
                    ("PhalaComputation", "WorkerBindings"),
                )
            )

    def watch_origin(self, origin: bytes) -> None:
        """Watch the message sequence of a sender (SCALE MessageOrigin)."""
        if origin not in self._origins:
            self._watched.add(self._ingress(origin))
            self._origins.add(origin)

    def missing(self) -> Sequence[bytes]:
        """Keys that must be read at block `block`, by now."""
        self._watched.update(self._session_keys())
        return [key for key in self._watched if key not in self._values]

    def renewed(self, metadata: Metadata) -> ChainState:
        """The same picture under another runtime's metadata."""
        state = ChainState(metadata, self.block)
        state._values = dict(self._values)
        for public_key in self._workers:
            state.watch_worker(public_key)
        for origin in self._origins:
            state.watch_origin(origin)
        return state

    # --- how it changes

    def fill(self, keys: Sequence[bytes], values: Sequence[bytes | None]) -> None:
        """Take what was read at block `block`."""
        self._values.update(zip(keys, values, strict=True))

    def apply(self, block: int, changes: bytes) -> None:
        """Go on to the next block, by its SCALE StorageChanges."""
        if block != self.block + 1:
            raise ValueError(f"block {block} does not follow {self.block}")
        for key, value in decode_storage_changes(changes)[0]:
            if key in self._watched:
                self._values[key] = value
            elif key == CODE:
                self.upgraded = True
        self.block = block

    # --- what it says

    def worker(self, public_key: bytes) -> WorkerOnChain | None:
        """What stands on chain of a worker, None while not all of it was read."""
        if public_key not in self._workers:
            return None
        keys = [
            self._key("PhalaRegistry", "Workers", public_key),
            self._key("PhalaStakePoolv2", "WorkerAssignments", public_key),
            self._key("PhalaComputation", "WorkerBindings", public_key),
        ]
        if not self._known(keys):
            return None
        info = self._value("PhalaRegistry", "Workers", keys[0])
        account = self._value("PhalaComputation", "WorkerBindings", keys[2])
        session = None
        if account is not None:
            session_key, stake_key = self._keys_of(account)
            if not self._known((session_key, stake_key)):
                return None
            session = self._session(account, session_key, stake_key)
        return WorkerOnChain(
            block=self.block,
            registered=info is not None,
            operator=None if info is None else info["operator"],
            initial_score=None if info is None else info["initial_score"],
            pid=self._value("PhalaStakePoolv2", "WorkerAssignments", keys[1]),
            session=session,
        )

    def next_sequence(self, origin: bytes) -> int | None:
        """The sequence that the chain wants next of a sender, None while it was not read."""
        if origin not in self._origins:
            return None
        key = self._ingress(origin)
        if key not in self._values:
            return None
        return int(self._value("PhalaMq", "OffchainIngress", key) or 0)

    # --- keys and values

    def _session(self, account: bytes, session_key: bytes, stake_key: bytes) -> Session | None:
        info = self._value("PhalaComputation", "Sessions", session_key)
        if info is None:
            return None
        return Session(
            account=account,
            state=info["state"],
            v=info["v"],
            ve=info["ve"],
            stake=self._value("PhalaComputation", "Stakes", stake_key),
            info=info,
        )

    def _session_keys(self) -> Iterable[bytes]:
        for public_key in self._workers:
            key = self._key("PhalaComputation", "WorkerBindings", public_key)
            account = self._value("PhalaComputation", "WorkerBindings", key)
            if account is not None:
                yield from self._keys_of(account)

    def _keys_of(self, account: bytes) -> tuple[bytes, bytes]:
        return (
            self._key("PhalaComputation", "Sessions", account),
            self._key("PhalaComputation", "Stakes", account),
        )

    def _known(self, keys: Iterable[bytes]) -> bool:
        return all(key in self._values for key in keys)

    def _value(self, pallet: str, item: str, key: bytes) -> Any:
        value = self._values.get(key)
        return None if value is None else self._metadata.decode_storage(pallet, item, value)

    def _ingress(self, origin: bytes) -> bytes:
        return self._key("PhalaMq", "OffchainIngress", decode_origin(origin))

    def _key(self, pallet: str, item: str, *parameters: Any) -> bytes:
        return self._metadata.storage_key(pallet, item, *parameters)

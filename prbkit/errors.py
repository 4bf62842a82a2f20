"""Every error that prbkit raises, as one tree.

::

    PrbError                    code, what happened, where, what to do
    ├── ConfigError             a setting, a URL or a file that the operator gave is wrong
    │   └── UnknownSchemeError  no installed plugin claims this URL
    ├── PluginError             a plugin raised something that is not a PrbError
    ├── CodecError              SCALE or JSON that cannot be read or made
    ├── ProofError              a trie or a read proof that does not hold
    ├── JustificationError      a GRANDPA justification that does not hold
    ├── VerificationError       chain data that fails a check of the light client
    ├── SourceError             a chain endpoint did not do what was asked
    │   ├── SourceTimeout       … in time
    │   ├── SourceDisconnected  … because it is not there
    │   ├── StateDiscarded      … because it is pruned
    │   ├── BlockNotFound       … because it does not have the block
    │   ├── WrongChain          … because it follows another chain
    │   └── RpcError            … and answered with an error of its own
    │       └── TransactionRejected  the node's pool refused an extrinsic
    ├── StoreError              a blob store failed or holds what it must not
    ├── TransportError          a peer could not be reached or answered badly
    │   ├── PeerTimeout
    │   ├── PeerUnknown
    │   └── RemoteError         the peer answered with an error of its own
    ├── Unauthorized            a caller may not do that
    ├── InventoryError
    │   ├── NotFound            no such pool or worker
    │   └── Duplicated          a name or a pid that is taken
    ├── IdentityError           key files, sealing and unsealing
    ├── SignerError             a secret that cannot be used
    ├── QueueError              the trade queue
    ├── TradeError              a job that cannot be made into a call
    └── WorkerError             what a pRuntime said or failed to say
        ├── WorkerUnreachable
        └── WorkerRefused       it answered with an error of its own

Cancellation (`asyncio.CancelledError`) is never wrapped.
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "BlockNotFound",
    "CodecError",
    "ConfigError",
    "Duplicated",
    "IdentityError",
    "InventoryError",
    "JustificationError",
    "NotFound",
    "PeerTimeout",
    "PeerUnknown",
    "PluginError",
    "PrbError",
    "ProofError",
    "QueueError",
    "RemoteError",
    "RpcError",
    "SignerError",
    "SourceDisconnected",
    "SourceError",
    "SourceTimeout",
    "StateDiscarded",
    "StoreError",
    "TradeError",
    "TransactionRejected",
    "TransportError",
    "Unauthorized",
    "UnknownSchemeError",
    "VerificationError",
    "WorkerError",
    "WorkerRefused",
    "WorkerUnreachable",
    "WrongChain",
]


class PrbError(Exception):
    """Base of all errors of prbkit.

    :param message: what happened, one sentence without a full stop.
    :param where: endpoint, block, key, worker or file it happened at.
    :param hint: what the reader can do about it.
    """

    code: ClassVar[str] = "prb"

    def __init__(self, message: str, *, where: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        text = self.message
        if self.where:
            text = f"{text} (at {self.where})"
        if self.hint:
            text = f"{text}; {self.hint}"
        return text


class ConfigError(PrbError):
    """A setting, a URL or a file that the operator gave is wrong."""

    code = "config"


class UnknownSchemeError(ConfigError):
    """No installed plugin claims the URL; the message lists the known schemes."""

    code = "config.scheme"


class PluginError(PrbError):
    """A plugin raised something that is not a `PrbError`; carries the plugin's name."""

    code = "plugin"


class CodecError(PrbError):
    """SCALE bytes that cannot be read, or a value that does not fit its type.

    The message names the place (``$.fields[2].value``) and the offset in bytes.
    """

    code = "codec"


class ProofError(PrbError):
    """A storage proof that does not lead from its root to the key."""

    code = "proof"


class JustificationError(PrbError):
    """A GRANDPA justification that does not finalize the block it is given for."""

    code = "justification"


class VerificationError(PrbError):
    """Chain data that fails a check: names endpoint, block and check."""

    code = "verification"


class SourceError(PrbError):
    """A chain endpoint did not do what was asked; `where` is its URL."""

    code = "source"


class SourceTimeout(SourceError):
    """The endpoint did not answer in time."""

    code = "source.timeout"


class SourceDisconnected(SourceError):
    """The endpoint is not there, or went away in the middle."""

    code = "source.disconnected"


class StateDiscarded(SourceError):
    """The endpoint is pruned: it no longer has the state of that block."""

    code = "source.pruned"


class BlockNotFound(SourceError):
    """The endpoint does not have that block."""

    code = "source.block"


class WrongChain(SourceError):
    """The endpoint follows another chain than the settings or the store say."""

    code = "source.chain"


class RpcError(SourceError):
    """The endpoint answered with a JSON-RPC error.

    :param rpc_code: the error's number in the answer.
    :param data: the error's data as text, if any.
    """

    code = "source.rpc"

    def __init__(
        self,
        message: str,
        *,
        rpc_code: int = 0,
        data: str | None = None,
        where: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, where=where, hint=hint)
        self.rpc_code = rpc_code
        self.data = data


class TransactionRejected(RpcError):
    """The node's pool refused an extrinsic (JSON-RPC codes 1010 to 1019)."""

    code = "source.transaction"


class StoreError(PrbError):
    """A blob store failed, is full, or holds what it must not."""

    code = "store"


class TransportError(PrbError):
    """A peer could not be reached or did not keep to the protocol."""

    code = "transport"


class PeerTimeout(TransportError):
    """The peer did not answer in time."""

    code = "transport.timeout"


class PeerUnknown(TransportError):
    """No peer of that id or address is known."""

    code = "transport.unknown"


class RemoteError(TransportError):
    """The peer answered with an error.

    :param kind: the Walkie ResponseErrorType by name: UNKNOWN, SERVER, NOT_FOUND, DUPLICATED or
        UNAUTHORIZED.
    """

    code = "transport.remote"

    def __init__(
        self,
        message: str,
        *,
        kind: str = "UNKNOWN",
        where: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, where=where, hint=hint)
        self.kind = kind


class Unauthorized(PrbError):
    """The caller may not do that."""

    code = "unauthorized"


class InventoryError(PrbError):
    """A change of the inventory that is refused."""

    code = "inventory"


class NotFound(InventoryError):
    """No pool or worker of that identity."""

    code = "inventory.not_found"


class Duplicated(InventoryError):
    """A name or a pid that another pool or worker has."""

    code = "inventory.duplicated"


class IdentityError(PrbError):
    """A key file that is missing, unreadable or not the one that sealed a secret."""

    code = "identity"


class SignerError(PrbError):
    """A secret that cannot be opened or used. Never holds the secret itself."""

    code = "signer"


class QueueError(PrbError):
    """The trade queue cannot be reached or holds what it must not."""

    code = "queue"


class TradeError(PrbError):
    """A trade job that cannot be made into a call."""

    code = "trade"


class WorkerError(PrbError):
    """What a pRuntime said or failed to say; `where` is its endpoint."""

    code = "worker"


class WorkerUnreachable(WorkerError):
    """The pRuntime did not answer in time or at all."""

    code = "worker.unreachable"


class WorkerRefused(WorkerError):
    """The pRuntime answered with an error of its own."""

    code = "worker.refused"

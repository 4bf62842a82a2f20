"""A light client: state tries and read proofs, header chains, GRANDPA finality."""

from prbkit.light.authorities import AuthoritySet
from prbkit.light.grandpa import (
    Authorities,
    Commit,
    Justification,
    Precommit,
    decode_authorities,
    decode_finality_proof,
    encode_authorities,
    signing_message,
    threshold,
    verify_justification,
    verify_justification_async,
)
from prbkit.light.header import (
    Header,
    ScheduledChange,
    check_chain,
    genesis_header,
    scheduled_change,
)
from prbkit.light.trie import (
    CHILD_PREFIX,
    Changes,
    ChildChanges,
    ProofReader,
    Trie,
    ordered_root,
    read_proof,
)

__all__ = [
    "CHILD_PREFIX",
    "Authorities",
    "AuthoritySet",
    "Changes",
    "ChildChanges",
    "Commit",
    "Header",
    "Justification",
    "Precommit",
    "ProofReader",
    "ScheduledChange",
    "Trie",
    "check_chain",
    "decode_authorities",
    "decode_finality_proof",
    "encode_authorities",
    "genesis_header",
    "ordered_root",
    "read_proof",
    "scheduled_change",
    "signing_message",
    "threshold",
    "verify_justification",
    "verify_justification_async",
]

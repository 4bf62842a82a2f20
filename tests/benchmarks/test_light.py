"""Trie and justifications beside the hashes and signature checks that they cannot do without."""

from __future__ import annotations

import hashlib
import random
import time
from importlib.metadata import version

import ed25519_zebra
import pytest

from prbkit.light import Trie, verify_justification
from tests.benchmarks import inputs
from tests.benchmarks.conftest import Compare
from tests.benchmarks.test_scale import here

pytestmark = pytest.mark.benchmark(timer=time.process_time)


@pytest.mark.parametrize("keys", [1_000, 10_000, 100_000])
def test_trie_changes(compare: Compare, keys: int) -> None:
    rng = random.Random(keys)
    pairs = [(rng.randbytes(32), rng.randbytes(60)) for _ in range(keys)]
    trie = Trie(pairs)
    changed = [rng.choice(pairs)[0] for _ in range(30)]
    # Two sets of values in turn, so that each application changes all 30.
    sets = [[(key, rng.randbytes(60)) for key in changed] for _ in range(2)]
    trie.apply(sets[0])
    nodes = trie.proof(changed)
    turn = 0

    def ours() -> bytes:
        nonlocal turn
        turn += 1
        return trie.apply(sets[turn & 1])

    def hashes() -> None:
        for node in nodes:
            hashlib.blake2b(node, digest_size=32).digest()

    compare(
        f"30 changes of {keys:,} keys, new root ({len(nodes)} nodes)",
        ours,
        here("hashlib.blake2b of these nodes", hashes),
        within=3,
        calls=20,
        peer_calls=20,
        rounds=25,
    )


def test_justification(compare: Compare) -> None:
    made = inputs.justification()
    target = made.commit.target_hash

    def ours() -> None:
        verify_justification(
            made.encoded,
            target_hash=target,
            target_number=1000,
            authorities=made.authorities,
            set_id=5,
        )

    def signatures() -> None:
        for vote in made.commit.precommits:
            assert ed25519_zebra.ed_verify(vote.signature, made.message, vote.id)

    compare(
        "justification of 900 signatures",
        ours,
        here(
            f"ed25519_zebra {version('py-ed25519-zebra-bindings')}, the 900 checks alone",
            signatures,
        ),
        within=1.1,
        rounds=25,
    )

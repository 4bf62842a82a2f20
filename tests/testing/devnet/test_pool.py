"""The transaction pool: order, refusals, what blocks do to it."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prbkit.testing.devnet.blocks import Block, Header, blake2_256
from prbkit.testing.devnet.pool import Pool, PoolError
from prbkit.testing.devnet.runtime import InvalidTransaction, Validity

from .tiny import transaction


class Ledger:
    """Accounts' nonces, as a runtime would judge by them."""

    def __init__(self) -> None:
        self.nonces: dict[int, int] = {}
        self.number = 0

    def validate(self, extrinsic: bytes) -> Validity:
        _, account, nonce, priority, valid = extrinsic
        now = self.nonces.get(account, 0)
        if not valid:
            raise InvalidTransaction("BadProof")
        if nonce < now:
            raise InvalidTransaction("Stale")
        requires = (bytes((account, nonce - 1)),) if nonce > now else ()
        return Validity(priority, requires, (bytes((account, nonce)),), 64)

    def block(self, *extrinsics: bytes, mark: bytes = b"") -> Block:
        self.number += 1
        for extrinsic in extrinsics:
            self.nonces[extrinsic[1]] = extrinsic[2] + 1
        header = Header(bytes(32), self.number, bytes(32), blake2_256(mark))
        return Block(header, extrinsics, {})


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def pool(ledger: Ledger) -> Pool:
    return Pool(ledger.validate, limit=20, clock=lambda: float(ledger.number))


def refusal(pool: Pool, extrinsic: bytes) -> tuple[int, str | None]:
    with pytest.raises(PoolError) as caught:
        pool.submit(extrinsic)
    return caught.value.code, caught.value.data


def test_refusals_have_the_codes_of_a_node(pool: Pool, ledger: Ledger) -> None:
    pool.submit(transaction(1, 0, 5))
    assert refusal(pool, transaction(1, 0, 5))[0] == 1013
    assert refusal(pool, transaction(1, 0, 5 - 1))[0] == 1014
    assert refusal(pool, transaction(2, 0, valid=False)) == (
        1010,
        "Transaction has a bad signature",
    )
    assert refusal(pool, transaction(2, 0, valid=False))[0] == 1012
    pool.imported((), (ledger.block(transaction(1, 0, 5)),))
    assert refusal(pool, transaction(1, 0, 5))[0] == 1012
    assert refusal(pool, transaction(1, 0)) == (1010, "Transaction is outdated")


def test_a_ban_ends(pool: Pool, ledger: Ledger) -> None:
    refusal(pool, transaction(2, 0, valid=False))
    ledger.number += 1801
    assert refusal(pool, transaction(2, 0, valid=False))[0] == 1010


def test_a_full_pool_takes_no_more(pool: Pool) -> None:
    for account in range(20):
        pool.submit(transaction(account, 0))
    assert refusal(pool, transaction(100, 0))[0] == 1016
    for nonce in (5, 6):
        pool.submit(transaction(50, nonce))
    assert refusal(pool, transaction(50, 7))[0] == 1016


def test_a_higher_tip_replaces_and_the_loser_hears_of_it(pool: Pool) -> None:
    told: list[Any] = []
    pool.submit(transaction(1, 0, 1), told.append)
    winner = pool.submit(transaction(1, 0, 2))
    assert told == ["ready", {"usurped": "0x" + winner.hex()}]
    assert pool.ready() == [transaction(1, 0, 2)]


def test_a_future_one_becomes_ready_when_the_gap_is_filled(pool: Pool) -> None:
    told: list[Any] = []
    pool.submit(transaction(1, 1), told.append)
    assert told == ["future"]
    assert pool.ready() == []
    pool.submit(transaction(1, 0))
    assert told == ["future", "ready"]
    assert pool.ready() == [transaction(1, 0), transaction(1, 1)]


def test_what_another_block_made_stale_is_dropped(pool: Pool, ledger: Ledger) -> None:
    told: list[Any] = []
    pool.submit(transaction(1, 0, 1), told.append)
    pool.imported((), (ledger.block(transaction(1, 0, 9)),))
    assert told == ["ready", "invalid"]
    assert pool.ready() == []


def test_a_retracted_one_comes_back_and_is_final_in_its_second_block(
    pool: Pool, ledger: Ledger
) -> None:
    told: list[Any] = []
    pool.submit(transaction(1, 0), told.append)
    first = ledger.block(transaction(1, 0))
    pool.imported((), (first,))
    ledger.nonces[1] = 0
    pool.imported((first,), (ledger.block(mark=b"fork"),))
    assert pool.ready() == [transaction(1, 0)]
    second = ledger.block(transaction(1, 0), mark=b"fork")
    pool.imported((), (second,))
    pool.finalized((second,))
    assert [s if isinstance(s, str) else next(iter(s)) for s in told] == [
        "ready",
        "inBlock",
        "retracted",
        "ready",
        "inBlock",
        "finalized",
    ]


def test_finality_that_does_not_come_is_told(pool: Pool, ledger: Ledger) -> None:
    told: list[Any] = []
    pool.submit(transaction(1, 0), told.append)
    block = ledger.block(transaction(1, 0))
    pool.imported((), (block,))
    ledger.number += 600
    pool.imported((), (ledger.block(),))
    assert told[-1] == {"finalityTimeout": "0x" + block.hash.hex()}


def test_a_crowded_pool_is_worked_off_block_by_block(ledger: Ledger) -> None:
    pool = Pool(ledger.validate, limit=5000)
    wanted = {transaction(account, nonce) for account in range(250) for nonce in range(3)}
    for extrinsic in sorted(wanted, key=lambda x: (x[1], -x[2])):
        pool.submit(extrinsic)
    included: list[bytes] = []
    while ready := pool.ready()[:100]:
        included += ready
        pool.imported((), (ledger.block(*ready),))
    assert len(included) == len(wanted)
    assert set(included) == wanted
    assert not pool.future()


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 4), st.integers(0, 3)), max_size=30, unique=True
    )
)
def test_ready_ones_are_in_an_order_in_which_a_block_can_take_them(
    items: list[tuple[int, int, int]],
) -> None:
    ledger = Ledger()
    pool = Pool(ledger.validate, limit=1000)
    for account, nonce, tip in items:
        with contextlib.suppress(PoolError):
            pool.submit(transaction(account, nonce, tip))
    nonces: dict[int, int] = {}
    for _, account, nonce, _, _ in pool.ready():
        assert nonce == nonces.get(account, 0)
        nonces[account] = nonce + 1
    for _, account, nonce, _, _ in pool.future():
        assert nonce > nonces.get(account, 0)

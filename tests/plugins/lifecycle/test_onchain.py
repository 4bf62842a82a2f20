"""What is to be done on chain: case by case, and by a model of the chain."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prbkit_plugins.lifecycle.onchain import (
    AddToPool,
    Blocked,
    Computes,
    Need,
    Register,
    RestartComputing,
    Session,
    StartComputing,
    Waiting,
    Wish,
    WorkerOnChain,
    decide,
)

OPERATOR, OTHER = b"\1" * 32, b"\2" * 32
WISH = Wish(pid=7, stake=100, operator=OPERATOR)
READY = WorkerOnChain(
    block=9, registered=True, operator=OPERATOR, initial_score=100, pid=7, session=None
)


def session(state: str, stake: int | None = 100) -> Session:
    return Session(account=b"\3" * 32, state=state, stake=stake)


@pytest.mark.parametrize(
    ("chain", "wish", "need"),
    [
        (WorkerOnChain(block=9), WISH, Register("not registered")),
        (replace(READY, operator=OTHER), WISH, Register("registered for another operator")),
        (replace(READY, operator=None), WISH, Register("registered for another operator")),
        (READY, replace(WISH, register_again=True), Register("asked to register again")),
        (
            replace(READY, initial_score=None),
            WISH,
            Waiting("waiting for the benchmark's score"),
        ),
        (replace(READY, pid=None), WISH, AddToPool()),
        (READY, WISH, StartComputing(100)),
        (replace(READY, session=session("Ready")), WISH, StartComputing(100)),
        (replace(READY, session=session("WorkerIdle")), WISH, Computes()),
        (replace(READY, session=session("WorkerIdle", 50)), WISH, RestartComputing(100)),
        (replace(READY, session=session("WorkerIdle", 200)), WISH, Computes()),
        (
            replace(READY, session=session("WorkerCoolingDown")),
            WISH,
            Waiting("cooling down on chain"),
        ),
    ],
)
def test_each_situation_has_its_need(chain: WorkerOnChain, wish: Wish, need: Need) -> None:
    assert decide(chain, wish) == need


def test_a_score_too_low_asks_to_register_again_before_work_begins() -> None:
    wish = replace(WISH, min_score=200)
    assert isinstance(decide(READY, wish), Register)
    assert decide(replace(READY, session=session("WorkerIdle")), wish) == Computes()


def test_an_unresponsive_worker_computes_with_an_alarm() -> None:
    need = decide(replace(READY, session=session("WorkerUnresponsive")), WISH)
    assert isinstance(need, Computes)
    assert "unresponsive" in need.message


@pytest.mark.parametrize(
    ("chain", "wish"),
    [
        (READY, replace(WISH, operator=None)),
        (READY, replace(WISH, stake=0)),
        (replace(READY, pid=8), WISH),
    ],
)
def test_what_needs_a_person_says_what(chain: WorkerOnChain, wish: Wish) -> None:
    need = decide(chain, wish)
    assert isinstance(need, Blocked)
    assert ":" in need.message


def model(chain: WorkerOnChain, wish: Wish, need: Need) -> WorkerOnChain:
    """What the chain would make of the need; refuses what the pallets refuse."""
    match need:
        case Register():
            return replace(chain, registered=True, operator=wish.operator, initial_score=None)
        case Waiting() if chain.session is not None and chain.session.state == "WorkerCoolingDown":
            return replace(chain, session=replace(chain.session, state="Ready"))
        case Waiting():
            return replace(chain, initial_score=500)
        case AddToPool():
            assert chain.registered
            assert chain.operator == wish.operator
            assert chain.initial_score is not None
            assert chain.pid is None
            return replace(chain, pid=wish.pid)
        case StartComputing(stake):
            assert chain.pid == wish.pid
            assert chain.session is None or chain.session.state == "Ready"
            return replace(chain, session=session("WorkerIdle", stake))
        case RestartComputing(stake):
            assert chain.session is not None
            assert stake > (chain.session.stake or 0)
            return replace(chain, session=replace(chain.session, stake=stake))
    return chain


chains = st.builds(
    WorkerOnChain,
    block=st.just(1),
    registered=st.booleans(),
    operator=st.sampled_from([None, OPERATOR, OTHER]),
    initial_score=st.none() | st.integers(0, 1000),
    pid=st.none() | st.just(7),
    session=st.none()
    | st.builds(
        session,
        st.sampled_from(["Ready", "WorkerIdle", "WorkerUnresponsive", "WorkerCoolingDown"]),
        st.none() | st.integers(0, 300),
    ),
)


@given(chains, st.none() | st.integers(0, 400))
def test_doing_what_is_needed_ends_in_computing(chain: WorkerOnChain, score: int | None) -> None:
    wish = replace(WISH, min_score=score)
    for _ in range(10):
        need = decide(chain, wish)
        if isinstance(need, Computes):
            break
        chain = model(chain, wish, need)
    assert isinstance(decide(chain, wish), Computes)


@given(chains, st.integers(8, 100))
def test_a_worker_of_another_pool_is_never_started(chain: WorkerOnChain, pid: int) -> None:
    need = decide(replace(chain, pid=pid), WISH)
    assert isinstance(need, Register | Blocked)

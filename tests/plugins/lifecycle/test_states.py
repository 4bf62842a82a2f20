"""The table of a worker's states, over all orders of events."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from prbkit_plugins.lifecycle.states import TABLE, Effect, Event, State, as_markdown, step

events = st.lists(st.sampled_from(Event), max_size=40)
SYNC_EVENTS = [e for e in Event if e is not Event.MAY_ACT]
ACTING = {State.S_PRE_ACTIVE, State.S_ACTIVE}


def run(sequence: list[Event], state: State = State.S_IDLE) -> State:
    for event in sequence:
        state, _ = step(state, event)
    return state


@given(events)
def test_every_event_in_every_state_leads_to_a_state(sequence: list[Event]) -> None:
    assert run(sequence) in State


@given(events)
def test_s_error_is_left_when_the_cause_is_gone(sequence: list[Event]) -> None:
    state = run(sequence)
    if state is State.S_ERROR:
        good = [Event.RETRY, Event.READY, Event.CAUGHT_UP, Event.MAY_ACT, Event.COMPUTES]
        assert run(good, state) is State.S_ACTIVE


@given(st.lists(st.sampled_from(SYNC_EVENTS), max_size=40))
def test_a_worker_that_may_not_act_never_acts(sequence: list[Event]) -> None:
    state = State.S_IDLE
    for event in sequence:
        state, effects = step(state, event)
        assert state not in ACTING
        assert Effect.ACT not in effects


@given(events)
def test_acting_begins_and_ends_with_its_effects(sequence: list[Event]) -> None:
    state, acting = State.S_IDLE, False
    for event in sequence:
        state, effects = step(state, event)
        if Effect.STOP_ACTING in effects:
            acting = False
        if Effect.ACT in effects:
            acting = True
        assert acting == (state in ACTING)


@given(events, st.sampled_from([e for e in Event if e is not Event.ENABLED]))
def test_a_disabled_worker_stays_idle(sequence: list[Event], event: Event) -> None:
    state = run([*sequence, Event.DISABLED])
    assert state is State.S_IDLE
    assert step(state, event) == (State.S_IDLE, ())


@given(events)
def test_a_kicked_worker_is_left_alone_until_restarted(sequence: list[Event]) -> None:
    state = run([Event.ENABLED, Event.KICK])
    for event in sequence:
        if event in (Event.RESTART, Event.REFRESH, Event.DISABLED):
            break
        state, effects = step(state, event)
        assert state is State.S_KICKED
        assert Effect.CONNECT not in effects


def test_every_state_but_idle_can_be_disabled_restarted_and_kicked() -> None:
    for state in set(State) - {State.S_IDLE}:
        assert step(state, Event.DISABLED)[0] is State.S_IDLE
        assert step(state, Event.RESTART)[0] is State.S_STARTING
        assert step(state, Event.KICK)[0] is State.S_KICKED


def test_every_state_is_reached() -> None:
    assert {following for following, _ in TABLE.values()} == set(State)


def test_the_table_is_rendered_whole() -> None:
    lines = as_markdown().splitlines()
    assert len(lines) == len(TABLE) + 2
    assert "| S_IDLE | enabled | S_STARTING | connect |" in lines


def test_the_docs_hold_the_table() -> None:
    page = Path(__file__).resolve().parents[3] / "docs" / "lifecycle.md"
    assert as_markdown() in page.read_text("utf-8")

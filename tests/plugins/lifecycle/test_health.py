"""When something is an alarm."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from prbkit_plugins.lifecycle.control import WorkerReport
from prbkit_plugins.lifecycle.health import SEVERAL, Health
from prbkit_plugins.lifecycle.states import State

AFTER = 100.0


def report(uuid: str, state: str = "S_ACTIVE", at: int = 5, **more: Any) -> WorkerReport:
    heights = {"next_relay": at, "next_para": at, "next_block": at}
    return WorkerReport(uuid, state, **{**heights, **more})


def told(health: Health, now: float) -> set[tuple[str, str]]:
    return {(alarm.kind, alarm.name) for alarm in health.alarms(now).values()}


def test_one_that_is_behind_and_does_not_move_is_stuck_until_it_does() -> None:
    health = Health(AFTER)
    health.observe(report("a", at=9), "a", 0)
    health.observe(report("b"), "b", 0)
    assert told(health, AFTER - 1) == set()
    assert told(health, AFTER) == {("stuck", "b")}
    assert health.alarms(AFTER + 50)["stuck", "b"].since == 0
    health.observe(report("b", at=6), "b", AFTER + 50)
    assert told(health, AFTER + 51) == set()


def test_all_that_wait_for_a_chain_that_stands_are_well() -> None:
    health = Health(AFTER)
    for name in "abc":
        health.observe(report(name), name, 0)
    assert told(health, 10 * AFTER) == set()


def test_one_that_fails_is_down_though_its_state_goes_to_and_fro() -> None:
    health = Health(AFTER)
    for now in range(0, 200, 10):
        state = "S_ERROR" if now % 20 else "S_STARTING"
        health.observe(report("a", state, message="no answer"), "a", float(now))
    alarm = health.alarms(200)["down", "a"]
    assert (alarm.since, alarm.message) == (0, "no answer")


def test_several_at_one_place_are_one_alarm() -> None:
    health = Health(AFTER)
    health.observe(report("far", at=50), "far", 0)
    for number in range(8):
        stuck = report(f"w{number}", "S_SYNCHING", 7, message="bad justification")
        health.observe(stuck, f"w{number}", 0)
    [alarm] = health.alarms(AFTER).values()
    assert alarm.kind == "height"
    assert "8 workers stand at relay block 7" in alarm.message
    assert "and 3 more" in alarm.message
    assert "bad justification" in alarm.message


def test_unresponsive_on_chain_tells_its_age() -> None:
    health = Health(AFTER)
    health.observe(report("a", session_state="WorkerUnresponsive"), "a", 3)
    health.observe(report("a", session_state="WorkerUnresponsive", at=6), "a", 9)
    assert health.alarms(10)["unresponsive", "a"].since == 3
    health.observe(report("a", session_state="WorkerIdle", at=7), "a", 12)
    assert told(health, 12) == set()


def test_what_is_at_rest_or_gone_is_no_alarm() -> None:
    health = Health(AFTER)
    health.observe(report("a", "S_ERROR"), "a", 0)
    health.observe(report("b", "S_ERROR"), "b", 0)
    health.observe(report("a", "S_KICKED", session_state="WorkerUnresponsive"), "a", AFTER)
    health.forget("b")
    assert told(health, 3 * AFTER) == set()
    health.observe(report("a", "S_STARTING"), "a", 3 * AFTER)
    assert told(health, 4 * AFTER - 1) == set()


_reports = st.lists(
    st.builds(
        report,
        st.sampled_from("abcdefg"),
        st.sampled_from([state.value for state in State]),
        st.integers(0, 3),
        session_state=st.sampled_from([None, "WorkerIdle", "WorkerUnresponsive"]),
    ),
    max_size=60,
)


@given(_reports)
def test_no_storm_whatever_is_reported(reports: list[WorkerReport]) -> None:
    """At one place there is one alarm for all, or at most two of their own."""
    health = Health(AFTER)
    for now, one in enumerate(reports):
        health.observe(one, one.uuid, float(now))
    found = [a for a in health.alarms(1000.0).values() if a.kind != "unresponsive"]
    places: dict[int, int] = {}
    last = {one.uuid: one for one in reports}
    for alarm in found:
        if alarm.kind != "height":
            at = last[alarm.worker].next_block
            places[at] = places.get(at, 0) + 1
            assert last[alarm.worker].state not in ("S_IDLE", "S_KICKED")
    assert all(count < SEVERAL for at, count in places.items() if at)

"""phala computation: sessions of workers, their V, and what happens when they fall silent.

V and the tokenomic parameters are fixed point numbers with 64 fractional bits, computed as the
real pallet does (products round down).
"""

from __future__ import annotations

from math import isqrt
from typing import Any

from prbkit._native import core
from prbkit.testing import messages
from prbkit.testing.devnet.dispatch import (
    Args,
    Context,
    DispatchFailed,
    Origin,
    call,
    ensure_root,
    ensure_signed,
)
from prbkit.testing.devnet.pallets import mq, pools
from prbkit.testing.messages import Message, SettleInfo, WorkerEventWithKey

__all__ = [
    "bind",
    "computing",
    "finalize",
    "genesis",
    "reclaim",
    "start_computing",
    "stop_computing",
    "tokenomic_parameters",
    "unbind_session",
]

NAME = "PhalaComputation"
_ONE = 1 << 64
#: Base units in one PHA.
_UNIT = 10**12
MIN_INIT_P = 50
EXPECTED_BLOCK_TIME_SEC = 12
DEFAULT_EXPECTED_HEARTBEATS = 20
_COMPUTING = ("WorkerIdle", "WorkerUnresponsive")
#: Confidence level → score, in tenths; other levels have that of the first.
_CONFIDENCE = {4: 8, 5: 7}


def _fixed(numerator: int, denominator: int = 1) -> int:
    return (numerator << 64) // denominator


def _nearest(numerator: int, denominator: int) -> int:
    """Return the fixed point number nearest to a fraction, as a literal in the source is made."""
    return ((numerator << 65) // denominator + 1) // 2


def _times(left: int, right: int) -> int:
    return left * right >> 64


def tokenomic_parameters() -> dict[str, int]:
    """Return the parameters that Phala's own test chain begins with, as fixed point bits."""
    year, hour = 365 * 24 * 3600, 3600
    seconds = EXPECTED_BLOCK_TIME_SEC
    return {
        "pha_rate": _fixed(1),
        "rho": _nearest(1_000_000_666_600_231, 10**15),
        "budget_per_block": _fixed(720_000) * seconds // (24 * hour),
        "v_max": _fixed(30_000),
        "cost_k": _nearest(415_625, 10**7) * seconds // year,
        "cost_b": _nearest(8_859_375, 10**5) * seconds // year,
        "slash_rate": _nearest(1, 1000) * seconds // hour,
        "treasury_ratio": _nearest(2, 10),
        "heartbeat_window": 10,
        "rig_k": _nearest(3, 10),
        "rig_b": 0,
        "re": _nearest(13, 10),
        "k": _fixed(100),
        "kappa": _fixed(1),
    }


def genesis(ctx: Context) -> None:
    """Write the parameters, and whether workers are challenged."""
    ctx.put(NAME, "TokenomicParameters", tokenomic_parameters())
    ctx.put(NAME, "CoolDownPeriod", ctx.settings.cool_down_sec)
    ctx.put(NAME, "HeartbeatPaused", not ctx.settings.challenges)


def _notify(ctx: Context, pubkey: bytes, event: messages.WorkerEvent) -> None:
    mq.push(ctx, NAME, WorkerEventWithKey(pubkey, event))


def _session(ctx: Context, session: bytes) -> dict[str, Any]:
    info: dict[str, Any] | None = ctx.get(NAME, "Sessions", session)
    if info is None:
        ctx.fail(NAME, "SessionNotFound")
    return info


def computing(info: dict[str, Any]) -> bool:
    """Tell whether a session's state is one of computing."""
    return info["state"] in _COMPUTING


# ---------------------------------------------------------------------------------------- sessions


def bind(ctx: Context, session: bytes, pubkey: bytes) -> None:
    """Bind a worker to a session account, in state Ready."""
    worker = ctx.get("PhalaRegistry", "Workers", pubkey)
    if worker is None:
        ctx.fail(NAME, "WorkerNotRegistered")
    ctx.ensure(worker["initial_score"] is not None, NAME, "BenchmarkMissing")
    ctx.ensure(not ctx.has(NAME, "SessionBindings", session), NAME, "DuplicateBoundSession")
    ctx.ensure(not ctx.has(NAME, "WorkerBindings", pubkey), NAME, "DuplicateBoundWorker")
    former = ctx.get(NAME, "Sessions", session)
    ctx.ensure(former is None or former["state"] == "Ready", NAME, "WorkerNotReady")
    now = ctx.now
    ctx.put(NAME, "SessionBindings", session, pubkey)
    ctx.put(NAME, "WorkerBindings", pubkey, session)
    benchmark = {
        "p_init": 0,
        "p_instant": 0,
        "iterations": 0,
        "working_start_time": now,
        "challenge_time_last": 0,
    }
    info = {
        "state": "Ready",
        "ve": 0,
        "v": 0,
        "v_updated_at": now,
        "benchmark": benchmark,
        "cool_down_start": 0,
        "stats": {"total_reward": 0},
    }
    ctx.put(NAME, "Sessions", session, info)
    ctx.deposit(NAME, "SessionBound", session=session, worker=pubkey)


def unbind_session(ctx: Context, session: bytes) -> bytes:
    """Free a session's worker, stopping it first where it computes; return the worker."""
    pubkey: bytes | None = ctx.get(NAME, "SessionBindings", session)
    if pubkey is None:
        ctx.fail(NAME, "SessionNotBound")
    if computing(_session(ctx, session)):
        stop_computing(ctx, session)
    ctx.kill(NAME, "SessionBindings", session)
    ctx.kill(NAME, "WorkerBindings", pubkey)
    ctx.deposit(NAME, "SessionUnbound", session=session, worker=pubkey)
    return pubkey


def _initial_v(ctx: Context, worker: dict[str, Any], stake: int) -> int:
    """Return Ve of a worker at a stake, or fail where the stake is too low or too high."""
    params = ctx.get(NAME, "TokenomicParameters")
    if params is None:
        ctx.fail(NAME, "InternalErrorBadTokenomicParameters")
    score = worker["initial_score"]
    root = isqrt(_fixed(score) << 64)
    least = _times(params["k"], root) * _UNIT >> 64
    ctx.ensure(stake >= least, NAME, "InsufficientStake")
    confidence = _nearest(_CONFIDENCE.get(worker["confidence_level"], 10), 10)
    tweaked = _times(params["re"] - _ONE, confidence) + _ONE
    cost = _times(params["rig_k"], _fixed(score)) + params["rig_b"]
    ve = _times(tweaked, _fixed(stake, _UNIT) + cost)
    ctx.ensure(ve <= params["v_max"], NAME, "TooMuchStake")
    return ve


def start_computing(ctx: Context, session: bytes, stake: int) -> None:
    """Let a ready worker compute; the stake has been locked by the caller."""
    pubkey = ctx.get(NAME, "SessionBindings", session)
    if pubkey is None:
        ctx.fail(NAME, "SessionNotFound")
    info = _session(ctx, session)
    ctx.ensure(info["state"] == "Ready", NAME, "WorkerNotReady")
    held = ctx.has(NAME, "Stakes", session)
    ctx.ensure(not held, NAME, "InternalErrorCannotStartWithExistingStake")
    worker = ctx.get("PhalaRegistry", "Workers", pubkey)
    score = worker["initial_score"]
    ctx.ensure(score is not None, NAME, "BenchmarkMissing")
    ctx.ensure(score >= MIN_INIT_P, NAME, "BenchmarkTooLow")
    ve = _initial_v(ctx, worker, stake)
    started = info | {
        "state": "WorkerIdle",
        "ve": ve,
        "v": ve,
        "v_updated_at": ctx.now,
        "benchmark": info["benchmark"] | {"p_init": score},
    }
    ctx.put(NAME, "Stakes", session, stake)
    ctx.put(NAME, "Sessions", session, started)
    ctx.put(NAME, "OnlineWorkers", ctx.get(NAME, "OnlineWorkers") + 1)
    session_id = ctx.get(NAME, "NextSessionId")
    ctx.put(NAME, "NextSessionId", session_id + 1)
    _notify(ctx, pubkey, messages.Started(session_id, ve, score))
    ctx.deposit(NAME, "WorkerStarted", session=session, init_v=ve, init_p=score)


def stop_computing(ctx: Context, session: bytes) -> None:
    """Let a computing worker cool down."""
    pubkey = ctx.get(NAME, "SessionBindings", session)
    if pubkey is None:
        ctx.fail(NAME, "SessionNotBound")
    info = _session(ctx, session)
    ctx.ensure(computing(info), NAME, "WorkerNotComputing")
    cooling = info | {"state": "WorkerCoolingDown", "cool_down_start": ctx.now}
    ctx.put(NAME, "Sessions", session, cooling)
    ctx.put(NAME, "OnlineWorkers", ctx.get(NAME, "OnlineWorkers") - 1)
    _notify(ctx, pubkey, messages.Stopped())
    ctx.deposit(NAME, "WorkerStopped", session=session)


def reclaim(ctx: Context, session: bytes, *, check_cooldown: bool) -> int:
    """Turn a cooled worker back to Ready; return the stake that is free again."""
    info = _session(ctx, session)
    cooled = info["state"] == "WorkerCoolingDown" and (
        not check_cooldown or ctx.now - info["cool_down_start"] >= ctx.get(NAME, "CoolDownPeriod")
    )
    ctx.ensure(cooled, NAME, "CoolDownNotReady")
    ctx.put(NAME, "Sessions", session, info | {"state": "Ready", "cool_down_start": 0})
    stake = int(ctx.take(NAME, "Stakes", session) or 0)
    ctx.deposit(NAME, "WorkerReclaimed", session=session, original_stake=stake, slashed=0)
    return stake


# --------------------------------------------------------------------------------------- heartbeats


def finalize(ctx: Context) -> None:
    """Challenge the computing workers, and note those that were silent too long."""
    if ctx.get(NAME, "HeartbeatPaused"):
        return
    online = ctx.get(NAME, "OnlineWorkers")
    seed = core.blake2b_256(b"PhalaPoW" + ctx.get("System", "ParentHash"))
    target = _pow_target(ctx, online)
    _challenge(ctx, int.from_bytes(seed, "big"), target)
    if online:
        _note_silent(ctx)


def _challenge(ctx: Context, seed: int, target: int) -> None:
    mq.push(ctx, NAME, messages.HeartbeatChallenge(seed, target))


def _pow_target(ctx: Context, online: int) -> int:
    """Return the hash below which a worker answers, so that a block gets the expected answers.

    No worker is asked more than twice an hour. As in the pallet, in fixed point with 32 bits.
    """
    if not online:
        return 0
    expected = ctx.get(NAME, "ExpectedHeartbeatCount")
    if expected is None:
        expected = DEFAULT_EXPECTED_HEARTBEATS
    most = ((online * 2) << 32) // (3600 // EXPECTED_BLOCK_TIME_SEC)
    share = min(expected << 32, most) // online
    fraction = share << 24 >> 32
    return int(((1 << 256) - 1 >> 24) * fraction)


def _note_silent(ctx: Context) -> None:
    """Turn workers unresponsive that were not heard of in time.

    On Phala the gatekeepers tell the chain; here the chain looks itself.
    """
    limit = ctx.now - ctx.settings.unresponsive_after_sec
    for pid in range(ctx.get("PhalaBasePool", "PoolCount")):
        pool = ctx.get("PhalaBasePool", "Pools", pid)
        for pubkey in pool["StakePool"]["workers"] if pool else ():
            session = ctx.get(NAME, "WorkerBindings", pubkey)
            info = ctx.get(NAME, "Sessions", session) if session else None
            if info is None or info["state"] != "WorkerIdle":
                continue
            heard = max(info["benchmark"]["challenge_time_last"], info["v_updated_at"])
            if heard < limit:
                _set_responsive(ctx, pubkey, False)


def _set_responsive(ctx: Context, pubkey: bytes, responsive: bool) -> None:
    """Move a computing worker between WorkerIdle and WorkerUnresponsive."""
    session = ctx.get(NAME, "WorkerBindings", pubkey)
    info = ctx.get(NAME, "Sessions", session) if session else None
    if info is None or not computing(info):
        return
    state = "WorkerIdle" if responsive else "WorkerUnresponsive"
    ctx.put(NAME, "Sessions", session, info | {"state": state})
    event = "WorkerExitUnresponsive" if responsive else "WorkerEnterUnresponsive"
    ctx.deposit(NAME, event, session=session)
    _notify(
        ctx, pubkey, messages.ExitUnresponsive() if responsive else messages.EnterUnresponsive()
    )


@mq.subscribe(messages.REPORT_TOPIC, messages.WORKING_REPORT)
def on_report(ctx: Context, message: Message, report: messages.WorkingReport) -> None:
    """Take a heartbeat: the worker's speed now, and that it is there."""
    if not isinstance(message.sender, messages.WorkerOrigin):
        return
    pubkey = message.sender.pubkey
    session = ctx.get(NAME, "WorkerBindings", pubkey)
    if session is None:
        ctx.fail(NAME, "WorkerNotBound")
    info = _session(ctx, session)
    benchmark, now = info["benchmark"], ctx.now
    elapsed = now - benchmark["challenge_time_last"]
    if elapsed <= 0:
        raise DispatchFailed("Other")
    done = report.iterations - min(benchmark["iterations"], report.iterations)
    instant = min(done * 6 // elapsed, benchmark["p_init"] * 12 // 10)
    benchmark = benchmark | {
        "p_instant": instant,
        "iterations": report.iterations,
        "challenge_time_last": min(report.challenge_time // 1000, now),
    }
    ctx.put(NAME, "Sessions", session, info | {"benchmark": benchmark})
    ctx.deposit(NAME, "BenchmarkUpdated", session=session, p_instant=instant)
    if info["state"] == "WorkerUnresponsive" and not ctx.get(NAME, "HeartbeatPaused"):
        _set_responsive(ctx, pubkey, True)


@mq.subscribe(messages.UPDATE_TOPIC, messages.WORKING_INFO_UPDATE)
def on_update(ctx: Context, message: Message, update: messages.WorkingInfoUpdate) -> None:
    """Take what the gatekeepers conclude: who is silent, who is back, each one's V and reward."""
    ctx.ensure(isinstance(message.sender, messages.GatekeeperOrigin), NAME, "BadSender")
    for pubkey in update.offline:
        _set_responsive(ctx, pubkey, False)
    for pubkey in update.recovered_to_online:
        _set_responsive(ctx, pubkey, True)
    for info in update.settle:
        _settle(ctx, info, update.timestamp_ms // 1000)
    for info in update.settle:
        pools.reward(ctx, info.pubkey, info.payout * _UNIT >> 64)


def _settle(ctx: Context, settle: SettleInfo, emitted: int) -> None:
    session = ctx.get(NAME, "WorkerBindings", settle.pubkey)
    info = ctx.get(NAME, "Sessions", session) if session else None
    if info is None:
        return
    if info["v_updated_at"] >= emitted:
        ctx.deposit(
            NAME, "SessionSettlementDropped", session=session, v=settle.v, payout=settle.payout
        )
        return
    reward = settle.payout * _UNIT >> 64
    total = info["stats"]["total_reward"] + reward
    settled = {"v": settle.v, "v_updated_at": ctx.now, "stats": {"total_reward": total}}
    ctx.put(NAME, "Sessions", session, info | settled)
    ctx.deposit(NAME, "SessionSettled", session=session, v_bits=settle.v, payout_bits=settle.payout)


# ------------------------------------------------------------------------------------------- calls


@call(NAME, "set_cool_down_expiration")
def set_cool_down_expiration(ctx: Context, origin: Origin, args: Args) -> None:
    ensure_root(origin)
    ctx.put(NAME, "CoolDownPeriod", args["period"])
    ctx.deposit(NAME, "CoolDownExpirationChanged", period=args["period"])


@call(NAME, "force_heartbeat")
def force_heartbeat(ctx: Context, origin: Origin, args: Args) -> None:
    ensure_root(origin)
    _challenge(ctx, 0, (1 << 256) - 1)


@call(NAME, "force_start_computing")
def force_start_computing(ctx: Context, origin: Origin, args: Args) -> None:
    ensure_root(origin)
    start_computing(ctx, args["session"], args["stake"])


@call(NAME, "force_stop_computing")
def force_stop_computing(ctx: Context, origin: Origin, args: Args) -> None:
    ensure_root(origin)
    stop_computing(ctx, args["session"])


@call(NAME, "set_heartbeat_paused")
def set_heartbeat_paused(ctx: Context, origin: Origin, args: Args) -> None:
    ensure_root(origin)
    ctx.put(NAME, "HeartbeatPaused", args["paused"])


def operated_worker(ctx: Context, origin: Origin, session: bytes) -> bytes:
    """Return a session's worker, if the origin is its operator."""
    who = ensure_signed(origin)
    pubkey: bytes | None = ctx.get(NAME, "SessionBindings", session)
    if pubkey is None:
        ctx.fail(NAME, "SessionNotBound")
    worker = ctx.get("PhalaRegistry", "Workers", pubkey)
    if worker is None:
        ctx.fail(NAME, "WorkerNotRegistered")
    ctx.ensure(worker["operator"] == who, NAME, "BadSender")
    return pubkey

"""The life of one worker: start, feed, act on chain, and begin again after every error.

What to do next is decided elsewhere (states, planner, `onchain.decide`, `Sender`); here it is done,
one request at a time, beginning anew from the worker's own GetInfo whenever something went wrong.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import aiohttp
import orjson

from prbkit.blobs import Counters
from prbkit.errors import PrbError, WorkerRefused, WorkerUnreachable
from prbkit.wire.pruntime import InitRuntimeRequest, PhactoryInfo

from . import onchain
from .control import Assignment, WorkerReport
from .egress import read_egress
from .jobs import JobBook, Outcome
from .pccs import Pccs
from .pruntime import PRuntime, TooBig
from .registration import attestation_provider, bare_quote, registration
from .sender import Sender
from .states import Effect, Event, State, step

if TYPE_CHECKING:
    from .feed import Feeder
    from .follower import Follower
    from .settings import LifecycleSettings

__all__ = ["Shared", "WorkerLoop"]

STEP_RETRIES = 5
"""Times that feeding is tried again, from GetInfo, before the worker counts as failed."""

LEAST_BUDGET = 2**16
ACTING = (State.S_PRE_ACTIVE, State.S_ACTIVE)
KICK_MESSAGE = "kicked: it is left alone until it is restarted"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Shared:
    """What the workers of a runner share."""

    settings: LifecycleSettings
    session: aiohttp.ClientSession
    feeder: Feeder
    follower: Follower
    book: JobBook
    pccs: Pccs


class WorkerLoop:
    """One worker of the inventory.

    :param report: told each change of what `WorkerReport` holds.
    """

    def __init__(
        self, assignment: Assignment, shared: Shared, report: Callable[[WorkerReport], None]
    ) -> None:
        self._assignment = assignment
        self._shared = shared
        self._settings = shared.settings
        self._tell = report
        self._state = State.S_IDLE
        self._report = WorkerReport(assignment.worker.uuid)
        self._orders: deque[Event] = deque()
        self._ordered = asyncio.Event()
        self._changed = asyncio.Event()
        self._failures = 0
        self._budget = self._settings.budget_bytes
        self._register_again = False
        self._public_key = b""
        self._sender = Sender(shared.book, limit=self._settings.egress_limit)

    # --- what others tell it

    def assign(self, assignment: Assignment) -> None:
        """Take a change of the inventory; only another endpoint makes it begin again."""
        before, self._assignment = self._assignment, assignment
        if before == assignment:
            return
        if before.worker.enabled != assignment.worker.enabled:
            self.order(Event.ENABLED if assignment.worker.enabled else Event.DISABLED)
        elif before.worker.endpoint != assignment.worker.endpoint:
            self.order(Event.RESTART)
        self._changed.set()

    def order(self, event: Event) -> None:
        """Interrupt what it does with RESTART, REFRESH, KICK, ENABLED or DISABLED."""
        self._orders.append(event)
        self._ordered.set()

    # --- its life

    async def run(self) -> None:
        """Live until cancelled."""
        if self._assignment.worker.enabled:
            self._happened(Event.ENABLED)
        try:
            while True:
                await self._until_ordered()
                while self._orders:
                    await self._obey(self._orders.popleft())
                self._ordered.clear()
        finally:
            self._let_go()

    async def _until_ordered(self) -> None:
        """Live as the state asks, until an order interrupts or the life ends by itself."""
        life = asyncio.ensure_future(self._live())
        ordered = asyncio.ensure_future(self._ordered.wait())
        try:
            await asyncio.wait({life, ordered}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (life, ordered):
                task.cancel()
            # What the life ended with was dealt with inside it.
            await asyncio.gather(life, ordered, return_exceptions=True)
        if life.done() and not life.cancelled() and (error := life.exception()) is not None:
            raise error

    async def _live(self) -> None:
        match self._state:
            case State.S_IDLE | State.S_KICKED:
                await self._ordered.wait()
            case State.S_ERROR:
                await asyncio.sleep(self._backoff(self._failures))
                self._happened(Event.RETRY)
            case _:
                try:
                    await self._work()
                except PrbError as error:
                    self._failures += 1
                    self._happened(Event.FAILED, str(error))
                except Exception as error:
                    # A defect that one worker meets must not take the others along.
                    log.exception("worker %s met a defect", self._assignment.worker.name)
                    self._failures += 1
                    self._happened(Event.FAILED, f"a defect of prbkit: {error!r}")

    async def _obey(self, order: Event) -> None:
        if order is Event.KICK and (self._state, order) in _KICKABLE:
            await self._stop(self._connect())
        if order in (Event.RESTART, Event.REFRESH, Event.DISABLED):
            self._failures = 0
        self._happened(order, KICK_MESSAGE if order is Event.KICK else "")

    async def _stop(self, pruntime: PRuntime) -> None:
        """Make pRuntime exit, from a checkpoint if it can take one, so that it loses nothing."""
        self._show(message="taking a checkpoint before it exits")
        with contextlib.suppress(WorkerRefused, WorkerUnreachable):
            await pruntime.take_checkpoint(self._settings.checkpoint_timeout)
        with contextlib.suppress(WorkerRefused):
            await pruntime.kick()

    def _happened(self, event: Event, message: str | None = None) -> None:
        state, effects = step(self._state, event)
        if Effect.REGISTER_AGAIN in effects:
            self._register_again = True
        if Effect.RELEASE in effects:
            self._let_go()
        if state is not self._state and message is None:
            message = ""
        self._state = state
        self._show(state=state.value, message=message)

    def _let_go(self) -> None:
        if self._public_key:
            self._shared.follower.unwatch(self._public_key)
            self._public_key = b""

    def _connect(self) -> PRuntime:
        return PRuntime(
            self._assignment.worker.endpoint,
            self._shared.session,
            rpc_timeout=self._settings.rpc_timeout,
            blob_timeout=self._settings.blob_timeout,
        )

    async def _work(self) -> None:
        pruntime = self._connect()
        await self._start(pruntime)
        failures = 0
        while True:
            info = await pruntime.get_info()
            if not self._is_same(info):
                self._happened(Event.GONE, "pRuntime was restarted")
                return
            self._saw(info)
            version = self._shared.feeder.version
            try:
                fed = await self._feed(pruntime, info)
            except PrbError as error:
                failures += 1
                if failures > STEP_RETRIES:
                    raise
                self._show(message=str(error))
                await asyncio.sleep(self._backoff(failures))
                continue
            if fed:
                failures = self._failures = 0
            else:
                await self._caught_up(pruntime, info)
                await self._rest(version)

    # --- S_STARTING

    async def _start(self, pruntime: PRuntime) -> None:
        info = await pruntime.get_info()
        feeder = self._shared.feeder
        while not feeder.begun:
            self._show(message="waiting for a data provider that has begun")
            await feeder.grown(feeder.version)
        genesis = await feeder.genesis()
        if not info.initialized:
            provider = attestation_provider(
                self._settings.attestation, skip_ra=self._settings.skip_ra, info=info
            )
            self._show(message="initialising pRuntime")
            await pruntime.init_runtime(
                InitRuntimeRequest(
                    skip_ra=provider is None,
                    encoded_genesis_info=genesis.info,
                    encoded_genesis_state=genesis.state,
                    encoded_operator=self._assignment.operator,
                    is_parachain=True,
                    attestation_provider=provider,
                )
            )
            info = await pruntime.get_info()
        known = info.genesis_block_hash.removeprefix("0x").lower()
        if known and known != genesis.relay_hash.hex():
            raise WorkerRefused(
                "pRuntime belongs to another chain",
                where=pruntime.endpoint,
                hint=f"it began at relay block 0x{known}, this bridge at "
                f"0x{genesis.relay_hash.hex()}: clear its data",
            )
        self._let_go()
        self._public_key = _public_key(info, pruntime.endpoint)
        self._shared.follower.watch(self._public_key)
        self._saw(info)
        self._happened(Event.READY, "")

    def _is_same(self, info: PhactoryInfo) -> bool:
        key = info.public_key.removeprefix("0x").lower()
        return info.initialized and key == self._public_key.hex()

    # --- S_SYNCHING

    async def _feed(self, pruntime: PRuntime, info: PhactoryInfo) -> bool:
        """Send the next request, if there is one."""
        counters = Counters(
            info.headernum, info.para_headernum, info.blocknum, info.waiting_for_paraheaders
        )
        feed = await self._shared.feeder.next_feed(counters, self._budget)
        if feed is None:
            return False
        try:
            await pruntime.feed(feed)
        except (TooBig, WorkerUnreachable):
            self._budget = max(self._budget // 2, LEAST_BUDGET)
            raise
        most = self._settings.budget_bytes
        self._budget = min(self._budget + max(most // 16, LEAST_BUDGET), most)
        return True

    # --- S_SYNCHED and further

    async def _caught_up(self, pruntime: PRuntime, info: PhactoryInfo) -> None:
        """Nothing is left to send: see where that leaves the worker, and act on chain."""
        feeder = self._shared.feeder
        if feeder.far_behind():
            self._happened(Event.FELL_BEHIND, feeder.why_behind())
        if not feeder.caught_up():
            if self._state is State.S_SYNCHING:
                self._show(message=feeder.why_behind())
            return
        if self._state is State.S_SYNCHING:
            self._happened(Event.CAUGHT_UP)
            self._failures = 0
        self._happened(Event.MAY_NOT_ACT if self._assignment.sync_only else Event.MAY_ACT)
        if self._state in ACTING:
            await self._act(pruntime)
        else:
            self._show(message="")

    async def _act(self, pruntime: PRuntime) -> None:
        chain = self._shared.follower.worker(self._public_key)
        if chain is None:
            self._show(message="reading what stands on chain")
            return
        self._show_session(chain.session)
        messages = []
        if chain.registered:
            # The chain checks a message's signature by the key that is registered.
            messages.append(await self._drain(pruntime, chain.block))
        settings = self._settings
        wish = onchain.Wish(
            pid=self._assignment.worker.pid,
            stake=self._assignment.worker.stake,
            operator=self._assignment.operator,
            min_score=settings.min_score if settings.enforce_min_score else None,
            register_again=self._register_again,
        )
        need = onchain.decide(chain, wish)
        if isinstance(need, onchain.Computes):
            self._happened(Event.COMPUTES)
            for action in _ACTIONS:
                self._shared.book.forget(self._purpose(action))
            messages.append(need.message)
        else:
            self._happened(Event.NEEDS_ACTION)
            messages.append(await self._do(pruntime, need, wish, chain.block))
        self._show(message="; ".join(filter(None, messages)))

    async def _do(
        self, pruntime: PRuntime, need: onchain.Need, wish: onchain.Wish, block: int
    ) -> str:
        """Pursue what is needed; what a person should know of it."""
        match need:
            case onchain.Register(reason):
                return await self._register(pruntime, reason, wish, block)
            case onchain.AddToPool():
                return await self._pursue("ADD_WORKER", {}, block)
            case onchain.StartComputing(stake):
                return await self._pursue("START_COMPUTING", {"stake": str(stake)}, block)
            case onchain.RestartComputing(stake):
                return await self._pursue("RESTART_COMPUTING", {"stake": str(stake)}, block)
            case onchain.Waiting(message) | onchain.Blocked(message) | onchain.Computes(message):
                return message

    async def _pursue(self, action: str, fields: Mapping[str, Any], block: int) -> str:
        async def payload() -> Mapping[str, Any]:
            return {"public_key": f"0x{self._public_key.hex()}", **fields}

        pid = self._assignment.worker.pid
        progress = await self._shared.book.pursue(self._purpose(action), pid, payload, block)
        return progress.message

    async def _register(
        self, pruntime: PRuntime, reason: str, wish: onchain.Wish, block: int
    ) -> str:
        async def payload() -> Mapping[str, Any]:
            answer = await pruntime.get_runtime_info(refresh=True, operator=wish.operator)
            quote = bare_quote(answer)
            made = registration(
                answer,
                public_key=self._public_key,
                operator=wish.operator,
                unattested=self._settings.skip_ra or self._settings.attestation == "none",
                collateral=None if quote is None else await self._shared.pccs.collateral(quote),
            )
            if made is None:
                raise _NoAttestationYet("it has no attestation yet", where=pruntime.endpoint)
            return made

        try:
            progress = await self._shared.book.pursue(
                self._purpose("REGISTER_WORKER"), wish.pid, payload, block
            )
        except _NoAttestationYet as error:
            return f"{reason}; {error.message}"
        if progress.outcome is Outcome.DONE:
            self._register_again = False
        return f"{reason}; {progress.message}"

    async def _drain(self, pruntime: PRuntime, block: int) -> str:
        notes = []
        for egress in read_egress(await pruntime.get_egress()):
            wanted = self._shared.follower.next_sequence(egress.origin)
            if wanted is not None:
                pid = self._assignment.worker.pid
                notes.append(await self._sender.send(egress, wanted, block, pid))
        return "; ".join(filter(None, notes))

    def _purpose(self, action: str) -> str:
        return f"{action}:0x{self._public_key.hex()}"

    async def _rest(self, version: int) -> None:
        """Until there is more to send, the inventory changed, or it is time to look again."""
        waits = [
            asyncio.ensure_future(self._shared.feeder.grown(version)),
            asyncio.ensure_future(self._changed.wait()),
        ]
        try:
            await asyncio.wait(
                waits,
                timeout=self._settings.poll_interval,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            for wait in waits:
                wait.cancel()
        self._changed.clear()

    def _backoff(self, failures: int) -> float:
        doublings = min(max(failures - 1, 0), 30)
        return min(self._settings.retry_first * float(1 << doublings), self._settings.retry_most)

    # --- telling

    def _saw(self, info: PhactoryInfo) -> None:
        self._show(
            public_key=self._public_key.hex(),
            initialized=info.initialized,
            next_relay=info.headernum,
            next_para=info.para_headernum,
            next_block=info.blocknum,
        )

    def _show_session(self, session: onchain.Session | None) -> None:
        if session is None:
            self._show(session_state=None, session="", session_account="")
            return
        told = {
            "state": session.state,
            "v": session.v / 2**64,
            "ve": session.ve / 2**64,
            "stake": None if session.stake is None else str(session.stake),
            "benchmark": session.info.get("benchmark"),
            "stats": session.info.get("stats"),
        }
        self._show(
            session_state=session.state,
            session=orjson.dumps(told, default=str).decode(),
            session_account=session.account.hex(),
        )

    def _show(self, **changes: Any) -> None:
        """Tell what changed; a message of None leaves the last one."""
        if changes.get("message", "") is None:
            del changes["message"]
        report = replace(self._report, **changes)
        if report != self._report:
            self._report = report
            self._tell(report)


class _NoAttestationYet(WorkerRefused):
    """pRuntime attests itself only after its first dispatched block."""


_ACTIONS = ("REGISTER_WORKER", "ADD_WORKER", "START_COMPUTING", "RESTART_COMPUTING")
_KICKABLE = {(state, Event.KICK) for state in State if step(state, Event.KICK)[1]}


def _public_key(info: PhactoryInfo, where: str) -> bytes:
    try:
        key = bytes.fromhex(info.public_key.removeprefix("0x"))
    except ValueError:
        key = b""
    if len(key) != 32:
        raise WorkerRefused("pRuntime's public key is not 32 bytes in hex", where=where)
    return key

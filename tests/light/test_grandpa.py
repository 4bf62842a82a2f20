"""Justifications with ancestries, made with keys of our own: each rule broken alone."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field, replace
from typing import Any

import ed25519_zebra
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prbkit._native import core
from prbkit.errors import CodecError, JustificationError, PrbError, VerificationError
from prbkit.light import (
    AuthoritySet,
    Commit,
    Header,
    Justification,
    Precommit,
    encode_authorities,
    scheduled_change,
    signing_message,
    verify_justification,
)

ROUND, SET_ID = 9, 4
SEEDS = [bytes([i]) * 32 for i in range(1, 12)]
KEYS = [ed25519_zebra.ed_from_seed(seed) for seed in SEEDS]  # (secret, public)


def public(i: int) -> bytes:
    return bytes(KEYS[i][1])


def made(parent: bytes, number: int, fork: int = 0) -> Header:
    return Header.make(
        parent_hash=parent,
        number=number,
        state_root=bytes([fork]) * 32,
        extrinsics_root=bytes(32),
    )


def chain(length: int, fork: int = 0, parent: bytes = bytes(32), first: int = 10) -> list[Header]:
    out: list[Header] = []
    for i in range(length):
        out.append(made(out[-1].hash if out else parent, first + i, fork))
    return out


MAIN = chain(6)  # blocks 10 to 15
FORK = chain(3, 1, MAIN[1].hash, 12)  # 12 to 14 beside it


def vote(i: int, header: Header, *, round_: int = ROUND, set_id: int = SET_ID) -> Precommit:
    message = signing_message(header.hash, header.number, round_, set_id)
    signature = bytes(ed25519_zebra.ed_sign(KEYS[i][0], message))
    return Precommit(header.hash, header.number, signature, public(i))


@dataclass(frozen=True)
class Case:
    """Who votes for which header; four authorities of weight one unless said otherwise."""

    votes: list[tuple[int, Header]]
    target: Header = MAIN[2]
    ancestries: list[Header] = field(default_factory=list)
    authorities: Any = None

    def verify(self) -> None:
        votes = tuple(vote(i, header) for i, header in self.votes)
        commit = Commit(self.target.hash, self.target.number, votes)
        found = Justification(ROUND, commit, tuple(h.scale for h in self.ancestries))
        verify_justification(
            found.encode(),
            target_hash=self.target.hash,
            target_number=self.target.number,
            authorities=self.authorities or [(public(i), 1) for i in range(4)],
            set_id=SET_ID,
        )

    def refused(self, match: str) -> None:
        with pytest.raises(JustificationError, match=match):
            self.verify()


GOOD = Case([(0, MAIN[2]), (1, MAIN[2]), (2, MAIN[2])])
ABOVE = Case([(0, MAIN[2]), (1, MAIN[3]), (2, MAIN[4])], ancestries=[MAIN[3], MAIN[4]])


def test_votes_for_the_target() -> None:
    GOOD.verify()


def test_votes_above_the_target_count_for_it() -> None:
    ABOVE.verify()


def test_a_vote_below_the_target_is_the_base_and_does_not_count() -> None:
    votes = [(0, MAIN[2]), (1, MAIN[2]), (2, MAIN[2]), (3, MAIN[0])]
    Case(votes, ancestries=[MAIN[1], MAIN[2]]).verify()
    Case(votes[1:], ancestries=[MAIN[1], MAIN[2]]).refused("finalize 0x.*not the commit's target")


def test_below_the_threshold() -> None:
    replace(GOOD, votes=GOOD.votes[:2]).refused("weight of 2, 3 is needed")
    replace(GOOD, votes=[]).refused("no precommits")


def test_the_highest_finalized_block_must_be_the_target() -> None:
    votes = [(i, MAIN[3]) for i in range(3)]
    Case(votes, target=MAIN[3]).verify()
    # All of them finalize block 13, so 12 is not the highest.
    Case([*votes, (3, MAIN[2])], ancestries=[MAIN[3]]).refused("not the commit's target")
    Case([*votes, (3, MAIN[2])], target=MAIN[3], ancestries=[MAIN[3]]).verify()


def test_missing_and_needless_ancestries() -> None:
    replace(ABOVE, ancestries=[MAIN[4]]).refused("no header leads")
    replace(ABOVE, ancestries=[MAIN[3]]).refused("no header leads")
    replace(ABOVE, ancestries=[MAIN[3], MAIN[4], MAIN[5]]).refused("no precommit needs")
    replace(ABOVE, ancestries=[MAIN[2], MAIN[3], MAIN[4]]).refused("no precommit needs")


def test_a_vote_for_another_fork_does_not_lead_to_the_base() -> None:
    votes = [(0, MAIN[2]), (1, MAIN[2]), (2, MAIN[2]), (3, FORK[1])]
    Case(votes, ancestries=[FORK[1]]).refused("no header leads")
    Case(votes, ancestries=[FORK[0], FORK[1]]).refused("no header leads")


def test_a_fork_that_leads_to_a_lower_base_does() -> None:
    votes = [(0, MAIN[2]), (1, MAIN[2]), (2, MAIN[2]), (3, FORK[1]), (5, MAIN[1])]
    all_of_it = [MAIN[2], FORK[0], FORK[1]]
    # The base of the set's own votes is block 12, to which the fork does not lead.
    Case(votes, ancestries=all_of_it).refused("lowest block voted for")
    five = [(public(i), 1) for i in (0, 1, 2, 3, 5)]
    with_base = [*votes, (4, MAIN[2])]
    five_and_one = [*five, (public(4), 1)]
    Case(with_base, ancestries=all_of_it, authorities=five_and_one).refused("not the commit")
    heavy = [(public(0), 2), (public(1), 2), (public(2), 2), (public(3), 1), (public(5), 1)]
    Case(votes, ancestries=all_of_it, authorities=heavy).verify()


def test_votes_of_others_do_not_count_but_must_be_signed() -> None:
    outside = [(0, MAIN[2]), (1, MAIN[2]), (7, MAIN[2])]
    replace(GOOD, votes=outside).refused("weight of 2, 3 is needed")
    replace(GOOD, votes=[(7, MAIN[2]), (8, MAIN[2])]).refused("no precommit is by a member")
    replace(GOOD, votes=[*GOOD.votes, (7, MAIN[2])]).verify()
    good = tuple(vote(i, MAIN[2]) for i in range(3))
    forged = replace(vote(7, MAIN[2]), signature=bytes(64))
    encoded = Justification(ROUND, Commit(MAIN[2].hash, 12, (*good, forged))).encode()
    with pytest.raises(JustificationError, match="signature of precommit 3"):
        verify_justification(
            encoded,
            target_hash=MAIN[2].hash,
            target_number=12,
            authorities=[(public(i), 1) for i in range(4)],
            set_id=SET_ID,
        )


def test_a_vote_given_twice_counts_once() -> None:
    replace(GOOD, votes=[(0, MAIN[2]), (1, MAIN[2]), (1, MAIN[2])]).refused("weight of 2")


def test_an_equivocator_counts_once_for_every_block() -> None:
    # Voter 1 votes for both forks: with 0 and 2 that makes three of four for block 12.
    votes = [(0, MAIN[2]), (2, MAIN[2]), (1, MAIN[3]), (1, MAIN[2])]
    Case(votes, ancestries=[MAIN[3]]).verify()
    # Its weight counts for block 14 too, for which only one other voted.
    high = [(0, MAIN[4]), (1, MAIN[2]), (1, MAIN[3]), (2, MAIN[4])]
    Case(high, ancestries=[MAIN[3], MAIN[4]]).refused("not the commit's target")
    Case(high, target=MAIN[4], ancestries=[MAIN[3], MAIN[4]]).verify()
    # Counted twice it would be enough.
    Case([(0, MAIN[2]), (1, MAIN[2]), (1, MAIN[3])], ancestries=[MAIN[3]]).refused("weight of 2")
    # A third vote changes nothing.
    Case([*votes, (1, MAIN[4])], ancestries=[MAIN[3], MAIN[4]]).verify()


def test_weights() -> None:
    heavy = [(public(0), 5), (public(1), 1), (public(2), 1)]
    Case([(0, MAIN[2])], authorities=heavy).verify()
    Case([(1, MAIN[2]), (2, MAIN[2])], authorities=heavy).refused("5 is needed")
    twice = [(public(0), 2), (public(0), 3), (public(1), 1), (public(2), 1)]
    Case([(0, MAIN[2])], authorities=twice).verify()
    Case([(0, MAIN[2])], authorities=[(public(0), 0)]).refused("no weight")


def test_more_precommits_than_anyone_makes_are_refused_before_they_are_checked() -> None:
    replace(GOOD, votes=GOOD.votes * 400).refused("too many")


def test_any_signature_of_another_round_or_set() -> None:
    for wrong in ({"round_": ROUND + 1}, {"set_id": SET_ID + 1}):
        votes = (vote(0, MAIN[2]), vote(1, MAIN[2]), vote(2, MAIN[2], **wrong))
        encoded = Justification(ROUND, Commit(MAIN[2].hash, 12, votes)).encode()
        with pytest.raises(JustificationError, match="signature of precommit 2"):
            verify_justification(
                encoded,
                target_hash=MAIN[2].hash,
                target_number=12,
                authorities=[(public(i), 1) for i in range(4)],
                set_id=SET_ID,
            )


@settings(max_examples=300)
@given(st.binary(max_size=400))
def test_any_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(JustificationError):
        verify_justification(
            data, target_hash=bytes(32), target_number=0, authorities=[(bytes(32), 1)], set_id=0
        )


def test_a_length_that_is_not_there_allocates_nothing() -> None:
    for data in (b"\xfe\xff\xff\xff", b"\3\xff\xff\xff\xff"):
        with pytest.raises(JustificationError):
            Justification.decode(bytes(44) + data)


# --- digests -------------------------------------------------------------------------------------


def frnk(payload: bytes) -> bytes:
    return b"\4FRNK" + core.compact(len(payload)) + payload


SET = [(bytes([i]) * 32, i) for i in range(1, 4)]


def with_logs(*logs: bytes) -> bytes:
    made_header = Header.make(
        parent_hash=bytes(32),
        number=1,
        state_root=bytes(32),
        extrinsics_root=bytes(32),
        logs=logs,
    )
    return made_header.scale


def scheduled(delay: int) -> bytes:
    return frnk(b"\1" + encode_authorities(SET) + struct.pack("<I", delay))


def test_scheduled_change_behind_other_logs() -> None:
    disabled = [frnk(b"\3" + struct.pack("<Q", i)) for i in range(11)]
    babe = b"\6BABE" + core.compact(2) + b"ab"
    change = scheduled_change(with_logs(babe, b"\x08", *disabled, scheduled(0)))
    assert change is not None
    assert (list(change.authorities), change.delay) == (SET, 0)
    assert scheduled_change(with_logs(babe, *disabled)) is None
    after = AuthoritySet(((bytes(32), 1),), 6).after(with_logs(scheduled(0)))
    assert after == AuthoritySet(tuple(SET), 7)
    assert AuthoritySet.decode(after.encode()) == after
    with pytest.raises(VerificationError, match="by 3 blocks"):
        after.after(with_logs(scheduled(3)))


def test_a_malformed_scheduled_change_is_an_error() -> None:
    for payload in (b"\1", b"\1\4" + bytes(39), b"\1\0" + bytes(5)):
        with pytest.raises(CodecError):
            scheduled_change(with_logs(frnk(payload)))


@given(st.binary(max_size=300))
def test_any_bytes_as_a_header(data: bytes) -> None:
    for function in (Header.decode, scheduled_change):
        try:
            function(data)
        except PrbError:
            continue

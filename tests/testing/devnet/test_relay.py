"""The relay chain's runtime: rotating authorities and the parachains' heads."""

from __future__ import annotations

import pytest

from prbkit.scale import signed_extrinsic, signing_payload
from prbkit.testing.devnet.accounts import dev_account
from prbkit.testing.devnet.pallets.grandpa import WELL_KNOWN, encode_authorities
from prbkit.testing.devnet.relay import RelayRuntime, RelaySettings
from prbkit.testing.devnet.runtime import DIGEST_ITEM, Consensus, PreRuntime, RelayInherents

KEYS = tuple(bytes([i]) * 32 for i in range(1, 7))
SETTINGS = RelaySettings(KEYS, set_size=4, rotate_every=3, block_time_ms=6000)


class Relay:
    def __init__(self, settings=SETTINGS):
        self.runtime = RelayRuntime(settings)
        self.state = self.runtime.genesis()
        self.number = 0

    def hash(self, number):
        return bytes([number + 100]) * 32

    def get(self, pallet, item, *keys):
        md = self.runtime.md
        return md.decode_storage(pallet, item, self.state.get(md.storage_key(pallet, item, *keys)))

    def block(self, heads=None, extrinsics=()):
        parent, self.number = self.hash(self.number), self.number + 1
        inherents = RelayInherents(10**12 + 6000 * self.number, heads or {})
        executed = self.runtime.execute_block(
            self.state, self.number, parent, inherents, extrinsics
        )
        self.state = {k: v for k, v in (self.state | executed.changes).items() if v is not None}
        return executed


def test_the_genesis_holds_set_0():
    relay = Relay()
    first = [(key, 1) for key in KEYS[:4]]
    assert relay.get("Grandpa", "CurrentSetId") == 0
    assert relay.get("Grandpa", "Authorities") == first
    assert relay.state[WELL_KNOWN] == b"\1" + encode_authorities(first)
    assert relay.get("Paras", "Heads", 2004) is None


def test_a_set_changes_in_the_state_of_the_block_that_schedules_it():
    relay = Relay()
    for number in range(1, 8):
        executed = relay.block()
        set_id = number // 3
        wanted = SETTINGS.authority_set(set_id)
        assert SETTINGS.set_id(number) == set_id
        assert relay.get("Grandpa", "CurrentSetId") == set_id
        assert relay.get("Grandpa", "Authorities") == wanted
        assert relay.get("Grandpa", "SetIdSession", set_id) == set_id
        assert relay.get("Session", "CurrentIndex") == set_id
        logs = [DIGEST_ITEM.decode(log) for log in executed.digest_logs]
        assert isinstance(logs[0], PreRuntime)
        if number % 3:
            assert (len(logs), executed.authority_set) == (1, None)
            continue
        assert executed.authority_set == wanted
        change = b"\1" + encode_authorities(wanted) + bytes(4)
        assert logs[1:] == [Consensus(b"FRNK", change)]
        assert relay.state[WELL_KNOWN][0] == 1
    assert SETTINGS.authority_set(2)[0][0] != SETTINGS.authority_set(1)[0][0]


def test_heads_of_parachains():
    relay = Relay()
    executed = relay.block({2004: b"head", 1000: b"other"})
    assert relay.get("Paras", "Heads", 2004) == b"head"
    assert relay.get("Paras", "Parachains") == [1000, 2004]
    assert len(executed.extrinsics) == 3
    events = relay.runtime.md.decode_events(relay.state[events_key(relay)])
    assert [e.fields for e in events if e.name == "NewHeadNoted"] == [1000, 2004]
    relay.block()
    assert relay.get("Paras", "Heads", 2004) == b"head"


def events_key(relay):
    return relay.runtime.md.storage_key("System", "Events")


def test_signed_extrinsics_on_the_relay_chain():
    relay = Relay()
    relay.block()
    alice, md, version = dev_account("Alice"), relay.runtime.md, relay.runtime.version
    call = md.call("Balances", "transfer", dest={"Id": bytes([9]) * 32}, value=10**12)
    payload = signing_payload(
        md,
        call,
        era=None,
        nonce=0,
        tip=0,
        spec_version=version.spec_version,
        transaction_version=version.transaction_version,
        genesis_hash=relay.hash(0),
        checkpoint_hash=relay.hash(0),
    )
    extrinsic = signed_extrinsic(
        md,
        call,
        account=alice.public,
        signature=alice.sign(payload),
        crypto="sr25519",
        era=None,
        nonce=0,
        tip=0,
    )
    assert relay.block(extrinsics=[extrinsic]).refused == []
    assert relay.get("System", "Account", bytes([9]) * 32)["data"]["free"] == 10**12


def test_the_relay_chain_upgrades():
    relay = Relay(RelaySettings(KEYS, upgrade_at=1, rotate_every=0))
    assert relay.block().digest_logs[-1] == b"\x08"
    number, upgraded = relay.runtime.upgrade
    assert number == 1
    assert upgraded.version.spec_version == relay.runtime.version.spec_version + 1
    relay.runtime = upgraded
    assert len(relay.block().digest_logs) == 1


def test_sets_that_cannot_be():
    with pytest.raises(ValueError, match="a set of 9"):
        RelaySettings(KEYS, set_size=9)

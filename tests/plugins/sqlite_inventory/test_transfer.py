"""`apply`, `import` and `export`: against files, and against what PRB v2 itself has written."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import Any

import click
import orjson
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from prbkit.errors import ConfigError, IdentityError, InventoryError
from prbkit.identity.peer_id import read_libp2p_key
from prbkit.interfaces import Pool
from prbkit_plugins.sqlite_inventory import prb2, prb3
from prbkit_plugins.sqlite_inventory.declare import DeclaredPool, DeclaredWorker, make_plan
from prbkit_plugins.sqlite_inventory.transfer import add_commands

ALICE = "45R2pfjQUW2s9PQRHU48HQKLKHVMaDja7N3wpBtmF28UYDs2"
"""//Alice with Phala's prefix."""

POOLS = """
[[pools]]
pid = 1
name = "one"
operator_file = "secret"
[[pools.workers]]
name = "a"
endpoint = "http://a:8000"
stake = "4000 PHA"
[[pools]]
pid = 2
name = "two"
enabled = false
[[pools.workers]]
name = "b"
endpoint = "http://b:8000"
"""


@pytest.fixture
def prbkit(tmp_path: Path) -> Any:
    config = tmp_path / "prbkit.toml"
    config.write_text(f"data_dir = {str(tmp_path / 'data')!r}\n")
    (tmp_path / "secret").write_text("//Alice\n")
    group = click.Group()
    add_commands(group)

    def invoke(*arguments: str, **options: Any) -> Result:
        runner = CliRunner(env={"PRBKIT_CONFIG": str(config)})
        return runner.invoke(group, arguments, **options)

    return invoke


def told(result: Result) -> Any:
    assert result.exit_code == 0, (result.output, result.exception)
    return orjson.loads(result.stdout)


def names(answer: Any) -> list[tuple[str, str, str]]:
    return [(change["kind"], change["what"], change["name"]) for change in answer["changes"]]


def apply(prbkit: Any, folder: Path, text: str, *options: str, **more: Any) -> Result:
    (folder / "pools.toml").write_text(text)
    result: Result = prbkit("apply", "-f", str(folder / "pools.toml"), *options, **more)
    return result


def test_a_file_is_made_so_and_then_nothing_changes(prbkit: Any, tmp_path: Path) -> None:
    answer = told(apply(prbkit, tmp_path, POOLS, "--json"))
    assert answer["applied"]
    assert names(answer) == [
        ("add", "pool", "one"),
        ("add", "pool", "two"),
        ("add", "worker", "a"),
        ("add", "worker", "b"),
    ]
    assert answer["changes"][0]["fields"]["operator"] == {"from": None, "to": ALICE}
    assert told(apply(prbkit, tmp_path, POOLS, "--json")) == {"applied": False, "changes": []}


def test_a_dry_run_tells_and_changes_nothing(prbkit: Any, tmp_path: Path) -> None:
    for _ in range(2):
        answer = told(apply(prbkit, tmp_path, POOLS, "--dry-run", "--json"))
        assert not answer["applied"]
        assert len(answer["changes"]) == 4


def test_names_swap_workers_move_and_what_is_not_named_goes(prbkit: Any, tmp_path: Path) -> None:
    apply(prbkit, tmp_path, POOLS)
    swapped = POOLS.replace('"one"', '"x"').replace('"two"', '"one"').replace('"x"', '"two"')
    assert told(apply(prbkit, tmp_path, swapped, "--json"))["applied"]
    moved = """
        [[pools]]
        pid = 3
        name = "two"
        [[pools.workers]]
        name = "a"
        endpoint = "http://a:8000"
        stake = 4000000000000000
    """
    refused = apply(prbkit, tmp_path, moved, input="n\n")
    assert refused.exit_code != 0
    assert names(told(apply(prbkit, tmp_path, moved, "--dry-run", "--keep", "--json"))) == [
        ("add", "pool", "two"),
        ("change", "worker", "a"),
    ]
    answer = told(apply(prbkit, tmp_path, moved, "--yes", "--json"))
    assert ("change", "worker", "a") in names(answer)
    assert [change["fields"] for change in answer["changes"] if change["name"] == "a"] == [
        {"pid": {"from": 1, "to": 3}}
    ]
    assert told(apply(prbkit, tmp_path, moved, "--json"))["changes"] == []


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[[pools]]\npid = 1", "pools[0].name"),
        ("[[pools]]\npid = true\nname = 'a'", "pools[0].pid"),
        ("[[pools]]\npid = 1\nname = 'a'\nstkae = 1", "stkae"),
        ("[[pools]]\npid = 1\nname = 'a'\n[[pools]]\npid = 1\nname = 'b'", "twice"),
        ("[[pools]]\npid = 1\nname = 'a'\noperator_file = 'none'", "operator_file"),
        ("[[pools]]\npid = 1\nname = 'a'\noperator = 'x'\noperator_env = 'y'", "one of"),
        (
            "[[pools]]\npid = 1\nname = 'a'\n[[pools.workers]]\nname = 'w'\nendpoint = 'ftp://x'",
            "endpoint",
        ),
        ("pools = 3", "pools"),
        ("pools = [", "TOML"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(
    prbkit: Any, tmp_path: Path, text: str, place: str
) -> None:
    result = apply(prbkit, tmp_path, text)
    assert isinstance(result.exception, ConfigError)
    assert place in str(result.exception)


def test_no_output_holds_a_secret(prbkit: Any, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("//Alice//marker-secret\n")
    for options in ((), ("--json",), ("--dry-run",)):
        result = apply(prbkit, tmp_path, POOLS, *options)
        assert result.exit_code == 0
        assert "marker-secret" not in result.output


_names = st.sampled_from(["a", "b", "c", "d"])
_pools = st.lists(
    st.builds(DeclaredPool, pid=st.integers(1, 4), name=_names, enabled=st.booleans()),
    unique_by=(lambda pool: pool.pid, lambda pool: pool.name),
)


@given(_pools, _pools)
def test_a_plan_leads_to_what_is_declared(
    before: list[DeclaredPool], after: list[DeclaredPool]
) -> None:
    pools = [Pool(f"id{p.pid}", p.pid, p.name, p.enabled) for p in before]
    plan = make_plan(after, pools, [], operators={}, remove=True)
    there = {pool.uuid: (pool.pid, pool.name, pool.enabled) for pool in pools}
    for ref, _ in plan.pools_removed:
        del there[str(ref.uuid)]
    for ref, spec in plan.pools_changed:
        there[str(ref.uuid)] = (spec.pid or 0, spec.name or "", bool(spec.enabled))
    for spec in plan.pools_added:
        there[f"new{spec.pid}"] = (spec.pid or 0, spec.name or "", bool(spec.enabled))
    assert sorted(there.values()) == sorted((p.pid, p.name, p.enabled) for p in after)


# --- PRB v2


@pytest.fixture
def lifecycle(data_dir: Path) -> Path:
    found = data_dir / "prb2" / "lifecycle"
    (found / "local.db").open("rb").close()  # skips where the data is not there
    return found


def test_what_prb2_wrote_is_taken_over(prbkit: Any, lifecycle: Path) -> None:
    answer = told(prbkit("import", "prb2-lifecycle", str(lifecycle), "--json"))
    assert answer["applied"]
    pool, *workers = answer["changes"]
    assert pool["name"] == "pool1"
    assert pool["fields"]["operator"]["to"] == ALICE
    assert [worker["name"] for worker in workers] == ["w0", "w1"]
    assert workers[0]["fields"]["sync_only"]["to"] is True
    assert workers[1]["fields"]["stake"]["to"] == "2000000000000000"
    again = told(prbkit("import", "prb2-lifecycle", str(lifecycle / "local.db"), "--json"))
    assert again == {"applied": False, "changes": []}


def test_what_came_from_prb2_goes_back(prbkit: Any, lifecycle: Path, tmp_path: Path) -> None:
    prbkit("import", "prb2-lifecycle", str(lifecycle))
    key = lifecycle / "keys" / "LIFECYCLE"
    made = tmp_path / "local.db"
    result = prbkit("export", "prb2-lifecycle", str(made), "--key", str(key))
    assert result.exit_code == 0, result.exception
    assert prb2.read_prb2(made, key) == prb2.read_prb2(lifecycle / "local.db", key)
    assert prbkit("export", "prb2-lifecycle", str(made), "--key", str(key)).exit_code != 0


def test_a_database_without_its_key_is_refused(lifecycle: Path, tmp_path: Path) -> None:
    shutil.copy(lifecycle / "local.db", tmp_path)
    with pytest.raises(InventoryError, match="no key"):
        prb2.find_files(tmp_path, None)
    (tmp_path / "key").write_bytes(b"\x08\x00\x12\x04junk")
    with pytest.raises(IdentityError):
        prb2.read_prb2(tmp_path / "local.db", tmp_path / "key")
    (tmp_path / "no.db").write_bytes(b"no database at all")
    with pytest.raises(InventoryError, match="not a database"):
        prb2.read_prb2(tmp_path / "no.db", lifecycle / "keys" / "LIFECYCLE")


@given(st.data())
def test_a_damaged_operator_is_refused_in_our_words(data: st.DataObject) -> None:
    sealed = bytearray(prb2.seal_operator("the secret", _KEY))
    at = data.draw(st.integers(0, len(sealed) - 1))
    sealed[at] ^= data.draw(st.integers(1, 255))
    # CBC carries no proof: a flipped bit of the iv comes through.
    with contextlib.suppress(InventoryError):
        assert prb2.open_operator(bytes(sealed), _KEY, "pool 1") != "the secret"


def _make_key() -> Any:
    from cryptography.hazmat.primitives.asymmetric import rsa

    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


_KEY = _make_key()


# --- PRB v3

SEED = "bottom drive obey lake curtain smoke basket hold race lonely fit walk//Alice"


def commands(*values: Any) -> bytes:
    return b"\n".join(orjson.dumps(value) for value in values)


FLAGS = {"disabled": False, "sync_only": False}


def test_commands_of_prb3_are_carried_out() -> None:
    worker = {"name": "w", "endpoint": "http://w:1", "stake": "5000000000000", "pid": 1, **FLAGS}
    text = commands(
        {"AddPool": {"name": "one", "pid": 1, **FLAGS}},
        {"AddPool": {"name": "gone", "pid": 2, **FLAGS}},
        {"AddWorker": worker},
        {
            "SetPoolOperator": {
                "pid": 1,
                "account": SEED,
                "account_type": "Seed",
                "proxied_account_id": ALICE,
            }
        },
        {"UpdateWorker": {**worker, "new_name": "v", "sync_only": True}},
        {"RemovePool": {"pid": 2}},
        "GetAllPools",
    )
    [pool] = prb3.read_prb3(text, "here")
    assert (pool.pid, pool.name, pool.enabled) == (1, "one", True)
    assert pool.operator is not None
    assert pool.operator.get_secret_value() == SEED
    assert pool.workers == (DeclaredWorker("v", "http://w:1", 5 * 10**12, True, True),)
    assert prb3.read_prb3(prb3.write_prb3([pool], secrets=True), "back") == [pool]


def test_a_secret_key_goes_there_and_back(prbkit: Any, lifecycle: Path, tmp_path: Path) -> None:
    prbkit("import", "prb2-lifecycle", str(lifecycle))
    plain, secret = tmp_path / "plain", tmp_path / "secret.json"
    assert prbkit("export", "prb3", str(plain)).exit_code == 0
    assert b"SetPoolOperator" not in plain.read_bytes()
    assert prbkit("export", "prb3", str(secret), "--secrets").exit_code == 0
    assert b'"SecretKey"' in secret.read_bytes()
    assert secret.stat().st_mode & 0o077 == 0
    answer = told(prbkit("import", "prb3", str(secret), "--json"))
    # The export is made anew, its account is the same.
    for change in answer["changes"]:
        assert change["name"] == "pool1"
        assert change["fields"] == {"operator": {"from": ALICE, "to": ALICE}}


def test_answers_of_prb3_are_read() -> None:
    worker = {"id": "x", "name": "w", "endpoint": "http://w:1", "stake": "0", "enabled": False}
    answer = [{"id": "y", "name": "one", "pid": 1, "enabled": True, "workers": [worker]}]
    [pool] = prb3.read_prb3(orjson.dumps(answer), "here")
    assert pool.workers == (DeclaredWorker("w", "http://w:1", 0, False),)


@pytest.mark.parametrize(
    "value",
    [
        {"AddPool": {"pid": 1}},
        {"AddWorker": {"name": "w", "endpoint": "http://w", "stake": "0", "pid": 9, **FLAGS}},
        {"SetPoolOperator": {"pid": 1, "account": "marker secret", "account_type": "Other"}},
        {"SetPoolOperator": {"pid": 1, "account": "marker secret", "account_type": "SecretKey"}},
        {"What": 1},
        7,
    ],
)
def test_commands_that_are_none_are_refused_without_their_words(value: Any) -> None:
    with pytest.raises(InventoryError) as caught:
        prb3.read_prb3(orjson.dumps([value]), "here")
    assert "marker" not in str(caught.value)


def test_libp2p_keys_are_read(lifecycle: Path) -> None:
    assert read_libp2p_key((lifecycle / "keys" / "LIFECYCLE").read_bytes()).key_size == 2048

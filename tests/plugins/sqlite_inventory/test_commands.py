"""The commands on pools and workers, over an inventory in a temporary folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import orjson
import pytest
from click.testing import CliRunner, Result

from prbkit_plugins.sqlite_inventory.commands import Stake, add_commands

pytest.importorskip("prbkit.bridge")

MNEMONIC = "bottom drive obey lake curtain smoke basket hold race lonely fit walk"


@pytest.fixture
def prbkit(tmp_path: Path) -> Any:
    config = tmp_path / "prbkit.toml"
    config.write_text(f"data_dir = {str(tmp_path / 'data')!r}\n")
    group = click.Group()
    add_commands(group)

    def invoke(*arguments: str, **options: Any) -> Result:
        runner = CliRunner(env={"PRBKIT_CONFIG": str(config)})
        return runner.invoke(group, arguments, **options)

    return invoke


def rows(result: Result, name: str) -> list[dict[str, Any]]:
    assert result.exit_code == 0, (result.output, result.exception)
    value: list[dict[str, Any]] = orjson.loads(result.stdout)[name]
    return value


def test_pools_and_workers_are_added_changed_and_removed(prbkit: Any) -> None:
    [pool] = rows(prbkit("pool", "add", "7", "main", "--json"), "pools")
    assert (pool["pid"], pool["name"], pool["operator"]) == (7, "main", None)
    added = prbkit("worker", "add", "7", "w", "http://w:8000", "--stake", "2 PHA", "--json")
    assert rows(added, "workers")[0]["stake"] == str(2 * 10**12)
    changed = prbkit("worker", "update", "w", "--disabled", "--json")
    assert rows(changed, "workers")[0]["enabled"] is False
    assert len(rows(prbkit("worker", "list", "--json"), "workers")) == 1
    prbkit("pool", "remove", "7", "--yes")
    assert rows(prbkit("worker", "list", "--json"), "workers") == []


def test_an_operator_comes_from_stdin_and_is_never_shown(prbkit: Any) -> None:
    result = prbkit(
        "pool", "add", "7", "main", "--operator-file", "-", "--json", input=f"{MNEMONIC}\n"
    )
    [pool] = rows(result, "pools")
    assert pool["operator"]
    assert "bottom" not in result.output


def test_an_unknown_worker_is_named(prbkit: Any) -> None:
    result = prbkit("worker", "update", "nobody", "--disabled")
    assert result.exit_code != 0
    assert "nobody" in str(result.exception)


@pytest.mark.parametrize(
    ("text", "units"),
    [("4000 PHA", 4000 * 10**12), ("1.5pha", 15 * 10**11), ("10", 10), ("0", 0), ("1_000", 1000)],
)
def test_stakes_are_read(text: str, units: int) -> None:
    assert Stake().convert(text, None, None) == units


@pytest.mark.parametrize(
    "text", ["", "PHA", "-1", "inf", "1e400", "1.5", "nan", "1e400 PHA PHA", "12 dollars"]
)
def test_stakes_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(click.BadParameter):
        Stake().convert(text, None, None)


def test_an_update_of_nothing_and_a_missing_variable_are_refused(prbkit: Any) -> None:
    prbkit("pool", "add", "7", "main")
    empty = prbkit("pool", "update", "main")
    assert (empty.exit_code, "nothing to change" in empty.output) == (2, True)
    unset = prbkit("pool", "update", "main", "--operator-env", "NO_SUCH_VARIABLE")
    assert (unset.exit_code, "NO_SUCH_VARIABLE" in unset.output) == (2, True)

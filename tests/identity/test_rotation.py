"""Rotating and verifying the key that seals, cut off in every place."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from prbkit.cli import keys
from prbkit.cli.common import load_settings, offline
from prbkit.context import load_identity, next_key
from prbkit.errors import IdentityError
from prbkit.identity import Identity
from prbkit.interfaces import PoolSpec
from prbkit.settings import Settings

SECRETS = {1: "//Alice//one", 2: "//Bob//two"}


async def _nobody(settings: Settings) -> None:
    """In place of looking for a running bridge: there is none, and the look takes seconds."""


@pytest.fixture(params=["own", "shared"])
async def settings(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    monkeypatch.setattr(keys, "_refuse_while_running", _nobody)
    config = tmp_path / "prbkit.toml"
    more = "sealing_key = 'shared.pem'\n" if request.param == "shared" else ""
    config.write_text(f"data_dir = {str(tmp_path / 'data')!r}\n{more}")
    made = load_settings(config)
    async with offline(made) as context:
        inventory = await context.inventory()
        await inventory.create_pools(
            [
                PoolSpec(pid=pid, name=f"p{pid}", operator=SecretStr(secret))
                for pid, secret in SECRETS.items()
            ]
        )
        await inventory.create_pools([PoolSpec(pid=3, name="none")])
    return made


async def secrets(settings: Settings) -> dict[int, str]:
    async with offline(settings) as context:
        inventory = await context.inventory()
        return {
            pool.pid: (await inventory.operator_uri(pool)).get_secret_value()
            for pool in await inventory.pools()
            if pool.operator is not None
        }


def sealing(settings: Settings) -> Path:
    return settings.data_path(settings.sealing_key or settings.identity)


async def test_a_new_key_opens_all_and_the_old_one_nothing(settings: Settings) -> None:
    old = Identity.load(sealing(settings))
    peer_id, count = await keys.rotate(settings)
    assert (count, Identity.load(sealing(settings)).peer_id) == (2, peer_id)
    assert peer_id != old.peer_id
    assert await secrets(settings) == SECRETS
    assert all(row["ok"] for row in await keys.verify(settings))
    old.save(settings.data_path("old.pem"))
    os.replace(settings.data_path("old.pem"), sealing(settings))
    rows = await keys.verify(settings)
    assert [row["ok"] for row in rows] == [False, False, True]
    assert not any(secret in str(rows) for secret in SECRETS.values())


@pytest.mark.parametrize("step", ["reseal", "replace"])
async def test_a_rotation_that_was_cut_off_is_finished(
    settings: Settings, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if step == "reseal":
            patch.setattr("prbkit_plugins.sqlite_inventory.inventory.SqliteInventory.reseal", fail)
        else:
            patch.setattr(keys.os, "replace", fail)
        with pytest.raises(KeyboardInterrupt):
            await keys.rotate(settings)
    with pytest.raises(IdentityError, match=r"cut off.*identity rotate"):
        load_identity(settings)
    await keys.rotate(settings)
    assert await secrets(settings) == SECRETS
    assert not next_key(sealing(settings)).exists()


async def test_a_sealing_key_that_is_gone_is_not_replaced(settings: Settings) -> None:
    sealing(settings).unlink()
    with pytest.raises(IdentityError, match=r"is gone.*restore"):
        load_identity(settings)
    assert not sealing(settings).exists()

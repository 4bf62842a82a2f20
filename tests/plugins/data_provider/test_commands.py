"""``blob get --local``, ``fsck`` and ``repair`` on a store that the provider has filled."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from prbkit.blobs import decode_headers, header_number
from prbkit.blobs.documents import changes_key
from prbkit.cli import cli
from prbkit.errors import ConfigError, NotFound
from prbkit.testing.devnet import Devnet, DevnetConfig
from prbkit_plugins.lmdb.store import LmdbStore

from .test_follow import Provider


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("provider")

    async def fill() -> None:
        async with Devnet(DevnetConfig(history=60, set_period=20)) as net:
            provider = Provider(LmdbStore(folder / "blobs"), net)
            async with provider.running():
                await provider.synced(net)
            await provider.store.close()

    asyncio.run(fill())
    file = folder / "prbkit.toml"
    file.write_text('data_dir = "."\nservices = ["data_provider"]\n')
    return file


def test_a_blob_of_the_store_goes_to_stdout(settings: Path) -> None:
    done = CliRunner().invoke(
        cli, ["blob", "get", "--local", "prbkit/para/1/3", "-c", str(settings)], obj=None
    )
    assert done.exit_code == 0, done.output
    assert [header_number(each) for each in decode_headers(done.stdout_bytes)] == [1, 2, 3]
    done = CliRunner().invoke(cli, ["blob", "get", "--local", "none", "-c", str(settings)])
    assert isinstance(done.exception, NotFound)


def test_fsck_finds_damage_and_repair_takes_it_away(settings: Path) -> None:
    def fsck() -> tuple[int, list[str]]:
        done = CliRunner().invoke(cli, ["fsck", "--json", "-c", str(settings)])
        return done.exit_code, json.loads(done.stdout)["findings"]

    async def damage() -> None:
        async with LmdbStore(settings.parent / "blobs") as store:
            frame = await store.get(changes_key(15)) or b""
            await store.commit({changes_key(15): frame[:-1]})

    assert fsck() == (0, [])
    asyncio.run(damage())
    code, findings = fsck()
    assert code == 1
    assert len(findings) == 1
    assert "para block 15" in findings[0]
    wrong = CliRunner().invoke(cli, ["repair", "--from", "9999", "-c", str(settings)])
    assert isinstance(wrong.exception, ConfigError)
    done = CliRunner().invoke(
        cli, ["repair", "--from", "15", "--chain", "para", "-c", str(settings)]
    )
    assert done.exit_code == 0, done.output
    assert "para block 14" in done.stderr
    assert fsck() == (0, [])

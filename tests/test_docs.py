"""The documentation says all that there is: settings, hooks, and an example that runs."""

from __future__ import annotations

import inspect
import re
import runpy
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr

from prbkit import hookspecs
from prbkit.errors import SignerError
from prbkit.plugins import Plugins
from prbkit.settings import ChainSettings, Settings

DOCS = Path(__file__).resolve().parents[1] / "docs"
SECTIONS = sorted(Plugins().settings().items())
HOOKS = [hook for name, hook in inspect.getmembers(hookspecs) if name.startswith("prbkit_")]


def keys(model: type[BaseModel], prefix: str = "") -> set[str]:
    return {f"`{prefix}{name}`" for name in model.model_fields}


def test_the_settings_page_has_every_key() -> None:
    page = (DOCS / "settings.md").read_text("utf-8")
    chains = keys(ChainSettings, "relay.") | keys(ChainSettings, "para.")
    wanted = (keys(Settings) - {"`relay`", "`para`"}) | chains
    assert {key for key in wanted if key not in page} == set()


@pytest.mark.parametrize(("name", "load"), SECTIONS, ids=[name for name, _ in SECTIONS])
def test_the_settings_page_has_every_section_and_says_what_its_keys_mean(
    name: str, load: Any
) -> None:
    pytest.importorskip("sphinx")
    assert f"<!-- settings of {name} -->" in (DOCS / "settings.md").read_text("utf-8")
    table = runpy.run_path(str(DOCS / "conf.py"))["settings_table"](name, load())
    for key in load().model_fields:
        (row,) = re.findall(rf"^\| `{key}` \| (.+) \| (.*) \|$", table, re.MULTILINE)
        assert len(row[1]) > 5, f"{name}.{key} says nothing"


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook.__name__)
def test_a_hook_says_who_calls_it(hook: Any) -> None:
    text = inspect.getdoc(hook) or ""
    assert "Called" in text
    for parameter in inspect.signature(hook).parameters:
        if parameter not in ("settings", "event"):
            assert f":param {parameter}:" in text, f"{parameter} is not explained"


async def test_the_signer_in_the_plugin_guide_works(tmp_path: Path) -> None:
    """What stands in docs/plugins.md as a plugin file is one."""
    page = (DOCS / "plugins.md").read_text("utf-8")
    (code,) = re.findall(r"```python\n(# filesigner\.py\n.*?)```", page, re.DOTALL)
    file = tmp_path / "filesigner.py"
    file.write_text(code)
    settings = Settings.from_tree({"data_dir": str(tmp_path)})
    plugins = Plugins(files=[file])
    settings.bind_sections(plugins.settings())
    (tmp_path / "operator.hex").write_text("11" * 32)
    signer = await plugins.signer(SecretStr("edfile:operator.hex"), settings)
    assert (len(signer.account), len(await signer.sign(b"payload"))) == (32, 64)
    with pytest.raises(SignerError, match=r"edfile:PATH"):
        await plugins.signer(SecretStr("edfile:missing"), settings)
    stock = await plugins.signer(SecretStr("//Alice"), settings)
    assert stock.crypto == "sr25519"

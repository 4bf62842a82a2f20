"""Settings that somebody wrote or generated wrong: a ConfigError, whatever they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prbkit.errors import ConfigError
from prbkit.prb2_env import TABLE
from prbkit.settings import Section, Settings
from tests.hostile import changed, settle

EXAMPLES = Path(__file__).parents[1] / "examples"
FILES = [path.read_bytes() for path in sorted(EXAMPLES.glob("*/*.toml"))]


class Shop(Section):
    rooms: int = 3


def bound(path: Path | None, environ: dict[str, str]) -> Settings:
    settings = Settings.load(path, environ)
    settings.bind_sections({"shop": lambda: Shop})
    return settings


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("settings") / "prbkit.toml"


def refused(file: Path, content: str | bytes) -> str:
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigError) as caught:
        bound(file, {})
    assert str(file) in str(caught.value)
    return str(caught.value)


def test_an_empty_file_is_fine(file: Path) -> None:
    file.write_bytes(b"")
    bound(file, {})
    assert FILES


@given(changed(FILES) | st.binary(max_size=60))
def test_any_file_is_settings_or_refused(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    settings = settle(bound, file, {}, error=ConfigError)
    if settings is not None:
        assert Settings.from_tree(settings.tree()).tree() == settings.tree()


VALUES = st.recursive(
    st.text(max_size=5).map(repr)
    | st.integers().map(str)
    | st.sampled_from(
        ["1979-05-27", "07:32:00", "1979-05-27T07:32:00Z", "nan", "inf", "true", "'~nobody/x'",
         "0x" + "f" * 5000, "'\\u0000'"]
    ),
    lambda inner: st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
    max_leaves=4,
)  # fmt: skip
NAMES = sorted({*Settings.model_fields, "shop", "shop.rooms", "relay.endpoints", "x.y"})


@given(st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=3))
def test_any_value_anywhere_is_taken_or_refused(file: Path, tree: dict[str, str]) -> None:
    file.write_text("\n".join(f"{name} = {value}" for name, value in tree.items()))
    settle(bound, file, {}, error=ConfigError)


@given(
    st.dictionaries(
        st.sampled_from(
            [*TABLE, "PHALA_MODULE", "PRBKIT_STORE", "PRBKIT_RELAY__ENDPOINTS", "PRBKIT_RELAY",
             "PRBKIT_SHOP__ROOMS", "PRBKIT_", "PRBKIT___", "PRBKIT_DATA_DIR"]
        ),
        st.text(st.characters(exclude_characters="\0"), max_size=12)
        | st.sampled_from(["true", "3", "[", "{}", '["x"]', "data_provider", "[" * 9000, "~no/x"])
        | st.integers(0, 10**400).map(str),
        max_size=4,
    )
)  # fmt: skip
def test_any_environment_is_taken_or_refused(environ: dict[str, str]) -> None:
    settle(bound, None, environ, error=ConfigError)


@pytest.mark.parametrize(
    "content",
    [
        "a = " + "[" * 100_000,
        "a = " + "{b=" * 100_000,
        "namespace = " + "9" * 5000,
        "namespace = 0x" + "f" * 5000,
        "[shop]\nrooms = 1979-05-27",
        "[shop]\nrooms = 0x" + "f" * 5000,
        "[shop]\nhouse = 1979-05-27",
        "data_dir = '~nobody-of-that-name/x'",
        b"namespace = '\xff'",
    ],
    ids=range(9),
)
def test_what_no_settings_hold_is_refused_by_its_file(file: Path, content: Any) -> None:
    refused(file, content)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("PRBKIT_RELAY", "[" * 100_000),
        ("PRBKIT_STORE", "{" * 100_000),
        ("PHALA_BLOB_REQUEST_TIMEOUT", "9" * 400),
        ("PHALA_BLOB_REQUEST_TIMEOUT", "9" * 5000),
        ("PRBKIT_SHOP", '{"a":' * 100 + "1" + "}" * 100),
        ("PRBKIT_NAMESPACE", "[" * 200 + "]" * 200),
    ],
    ids=range(6),
)
def test_what_no_variable_holds_is_refused(name: str, text: str) -> None:
    with pytest.raises(ConfigError):
        bound(None, {name: text})

"""`prbkit serve`: options that do not go together are refused before anything starts."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from prbkit.cli import cli


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--until-active"], "--until-active goes with --demo only"),
        (["--workers", "2", "--data-dir", "x"], "--data-dir, --workers goes with --demo only"),
        (["--demo", "-c", "prbkit.toml"], "leave out -c"),
        (["--demo", "--workers", "-1"], "-1 is not in the range"),
        (["--demo", "--block-time", "0"], "is not in the range"),
    ],
)
def test_options_that_do_not_go_together(arguments: list[str], says: str) -> None:
    done = CliRunner().invoke(cli, ["serve", *arguments])
    assert done.exit_code == 2
    assert says in done.output

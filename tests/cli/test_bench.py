"""`prbkit bench` measures every part and tells one object."""

from __future__ import annotations

import json

from click.testing import CliRunner

from prbkit.cli import cli


def test_every_part_has_a_rate() -> None:
    done = CliRunner().invoke(cli, ["bench", "--seconds", "0.001", "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert [rate["name"] for rate in told["rates"]] == [
        "metadata", "events", "headers", "trie", "proofs", "justifications", "commits", "reads",
        "transport",
    ]  # fmt: skip
    assert all(rate["rate"] > 0 for rate in told["rates"])
    assert told["cpus"] >= 1

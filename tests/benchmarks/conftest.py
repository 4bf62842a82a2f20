"""Benchmarks beside their peers: `make bench` runs them, every other run leaves them out.

Each case alternates rounds of prbkit with rounds of its peer, in CPU time of one thread, and states
the median of the rounds' ratios: other work on the machine hardly moves it. They print and never
assert a time.
PRBKIT_BENCH_REPORT names the page that the table is written to.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from prbkit.scale import Metadata
from tests.benchmarks import inputs
from tests.benchmarks.peers import Peer, PeerMissing, PeerProcess, node_peers, python_peers

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: times in seconds for one call."""

    case: str
    ours: float
    peer: str
    theirs: float
    ratio: float
    target: float | None
    faster: bool

    def cells(self) -> list[str]:
        kind = "faster" if self.faster else "its time"
        wanted, reached = "", ""
        if self.target is not None:
            wanted = f"at {'least' if self.faster else 'most'} {_figure(self.target)} ×"
            met = self.ratio >= self.target if self.faster else self.ratio <= self.target
            reached = "yes" if met else "no"
        return [
            self.case,
            _time(self.ours),
            self.peer,
            _time(self.theirs),
            f"{_figure(self.ratio)} × {kind}",
            wanted,
            reached,
        ]


@dataclass(slots=True)
class Report:
    """What the session measured and what it could not."""

    rows: list[Row] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


_report = pytest.StashKey[Report]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_report] = Report()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("benchmark_only", False):
        return
    mine = [item for item in items if HERE in item.path.parents]
    if mine:
        items[:] = [item for item in items if HERE not in item.path.parents]
        config.hook.pytest_deselected(items=mine)


Compare = Callable[..., None]


@pytest.fixture
def compare(benchmark: Any, request: pytest.FixtureRequest) -> Compare:
    """`compare(case, ours, peer, faster= or within=, …)` measures one line of the table."""

    def run(
        case: str,
        ours: Callable[[], object],
        peer: Peer,
        *,
        faster: float | None = None,
        within: float | None = None,
        calls: int = 1,
        peer_calls: int = 1,
        scale: int = 1,
        rounds: int = 15,
    ) -> None:
        """Alternate rounds of `calls` of ours with rounds of `peer_calls` of the peer's.

        The target is to be so many times `faster`, or `within` so many times the peer's time;
        without one the row has none.
        `scale` is how many of what the case names one call of either makes.
        """
        theirs: list[float] = []

        def block() -> None:
            for _ in range(calls):
                ours()

        benchmark.pedantic(
            block,
            setup=lambda: theirs.append(peer.run(peer_calls) / peer_calls / scale),
            rounds=rounds,
            warmup_rounds=1,
        )
        mine = [seconds / calls / scale for seconds in benchmark.stats.stats.data]
        theirs = theirs[-len(mine) :]
        pairs = zip(mine, theirs, strict=True)
        row = Row(
            case=case,
            ours=statistics.median(mine),
            peer=peer.name,
            theirs=statistics.median(theirs),
            ratio=statistics.median(t / m if faster is not None else m / t for m, t in pairs),
            target=within if faster is None else faster,
            faster=faster is not None,
        )
        benchmark.extra_info.update(peer=row.peer, ratio=row.ratio)
        request.config.stash[_report].rows.append(row)

    return run


@pytest.fixture(scope="session")
def metadata(data_dir: Path) -> Metadata:
    """Polkadot's metadata V15, every plan made."""
    md = Metadata.decode((data_dir / "metadata" / "polkadot_v15.scale").read_bytes())
    md.prepare()
    return md


@pytest.fixture(scope="session")
def header_texts(data_dir: Path) -> list[str]:
    """JSON texts of real headers, one each."""
    found = json.loads((data_dir / "headers" / "sidecar_headers.json").read_text())
    return [json.dumps(entry["header"], separators=(",", ":")) for entry in found]


@pytest.fixture(scope="session")
def inputs_dir(
    metadata: Metadata, header_texts: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Write the inputs where the peers read them."""
    folder = tmp_path_factory.mktemp("inputs")
    (folder / "metadata.scale").write_bytes(metadata.raw)
    (folder / "events.scale").write_bytes(inputs.events(metadata))
    (folder / "headers.json").write_text(json.dumps(header_texts))
    stated = {
        "events_type": inputs.events_type(metadata),
        "records": inputs.as_hex(inputs.records()),
        "transfers": inputs.as_hex(inputs.transfers()),
    }
    (folder / "inputs.json").write_text(json.dumps(stated))
    return folder


@pytest.fixture(scope="session")
def python_peer(inputs_dir: Path, pytestconfig: pytest.Config) -> Iterator[PeerProcess]:
    """The process with bt-decode and cyscale."""
    yield from _peer(python_peers, inputs_dir, pytestconfig)


@pytest.fixture(scope="session")
def node_peer(inputs_dir: Path, pytestconfig: pytest.Config) -> Iterator[PeerProcess]:
    """The process with polkadot.js."""
    yield from _peer(node_peers, inputs_dir, pytestconfig)


def _peer(
    install: Callable[[], list[str]], folder: Path, config: pytest.Config
) -> Iterator[PeerProcess]:
    try:
        command = install()
    except PeerMissing as error:
        config.stash[_report].missing.append(f"{install.__name__.replace('_', ' ')}: {error}")
        pytest.skip(str(error))
    process = PeerProcess(command, folder)
    try:
        yield process
    finally:
        process.close()


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    report = config.stash[_report]
    if not report.rows:
        return
    head = ["case", "prbkit", "peer", "its time", "ratio", "wanted", "reached"]
    table = [head, *(row.cells() for row in report.rows)]
    widths = [max(len(line[i]) for line in table) for i in range(len(head))]
    terminalreporter.section("ratios")
    for line in table:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        terminalreporter.write_line("  ".join(cells).rstrip())
    path = os.environ.get("PRBKIT_BENCH_REPORT")
    if path:
        Path(path).write_text(_page(head, report))


def _page(head: list[str], report: Report) -> str:
    rows = [row.cells() for row in report.rows]
    lines = [
        "# Benchmarks",
        "",
        "`make bench` measures each case beside its peer, in alternating rounds, and writes this",
        "page. Times are medians of the CPU time of one call; the ratio is the median of those of",
        "the rounds. The sync of whole chains prints its figures alone.",
        "",
        f"Measured with {_python()} and prbkit {version('prbkit')} on {_cpu()}.",
        "",
        *("| " + " | ".join(cells) + " |" for cells in [head, ["---"] * len(head), *rows]),
    ]
    if report.missing:
        lines += ["", "Not measured:", "", *(f"- {reason}" for reason in report.missing)]
    return "\n".join(lines) + "\n"


def _python() -> str:
    return f"{platform.python_implementation()} {platform.python_version()}"


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return f"{line.partition(':')[2].strip()}, {platform.machine()}"
    except OSError:
        pass
    return platform.machine()


def _time(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{_figure(seconds / size)} {unit}"
    return f"{_figure(seconds * 1e9)} ns"


def _figure(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"

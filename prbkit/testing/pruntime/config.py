"""What a simulated worker is, and how it may misbehave."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Faults", "PRuntimeConfig"]


@dataclass(slots=True)
class Faults:
    """Misbehaviour, which a test may change while the worker runs.

    `latency`: seconds before each answer. `hang`: methods that are never answered. `refuse`:
    method → the error's text. `memory`: bytes of one request above which it answers as pRuntime
    out of memory does. `garbage`: methods answered with bytes that are no message.
    """

    latency: float = 0.0
    hang: set[str] = field(default_factory=set)
    refuse: dict[str, str] = field(default_factory=dict)
    memory: int | None = None
    garbage: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True, kw_only=True)
class PRuntimeConfig:
    """One simulated worker.

    :param seed: 32 bytes, of which its sr25519 key is made.
    :param first_para_header: 0 as pRuntime counts today, 1 as in PRB v2's time.
    :param iterations_per_second: how fast it claims to compute in its benchmark.
    :param attestation: ``none`` as Phala's test runtimes take it, or ``dcap`` (a quote without
        collateral, as pRuntime gives it).
    :param kick_api: ``POST /kick`` makes it exit.
    """

    seed: bytes
    first_para_header: int = 0
    iterations_per_second: int = 500
    attestation: str = "none"
    version: str = "2.2.0"
    kick_api: bool = True

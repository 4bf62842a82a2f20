"""The Cython core with prbkit's errors bound to it: the only way that the domain imports it."""

from __future__ import annotations

from prbkit._speedups import _core as core
from prbkit.errors import CodecError, JustificationError, ProofError

__all__ = ["core"]

core.bind_errors(codec=CodecError, proof=ProofError, justification=JustificationError)

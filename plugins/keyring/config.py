"""The settings section ``[keyring]``."""

from __future__ import annotations

from pydantic import SecretStr

from prbkit.settings import Section

__all__ = ["KeyringSettings"]


class KeyringSettings(Section):
    """How secrets are opened."""

    password: SecretStr | None = None
    """Of account exports that come without one of their own."""

"""The stock plugin `keyring`: signers from secret URIs and polkadot-js account exports."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from prbkit.hookspecs import hookimpl

if TYPE_CHECKING:
    from pydantic import SecretStr

    from prbkit.interfaces import Signer
    from prbkit.settings import Settings


@hookimpl
async def prbkit_signer(uri: SecretStr, settings: Settings) -> Signer | None:
    """Open `uri`; off the event loop, since an export's key derivation takes half a second."""
    from .uri import claims, open_uri

    text = uri.get_secret_value()
    return await asyncio.to_thread(open_uri, text) if claims(text) else None

"""The stock plugin `keyring`: signers from secret URIs, account exports, files and programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prbkit.hookspecs import hookimpl

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydantic import BaseModel, SecretStr

    from prbkit.interfaces import Signer
    from prbkit.settings import Settings


def _settings() -> type[BaseModel]:
    from .config import KeyringSettings

    return KeyringSettings


@hookimpl
def prbkit_settings() -> Mapping[str, Callable[[], type[BaseModel]]]:
    return {"keyring": _settings}


@hookimpl
async def prbkit_signer(uri: SecretStr, settings: Settings) -> Signer | None:
    """Open `uri`; off the event loop, since an export's key derivation takes half a second."""
    import asyncio

    from .elsewhere import claims_elsewhere, open_command, read_elsewhere
    from .uri import claims, is_export, open_uri

    text = uri.get_secret_value().strip()
    if text.startswith("command:"):
        return open_command(text)
    if claims_elsewhere(text):
        text = await asyncio.to_thread(read_elsewhere, text, settings.data_dir)
    if not claims(text):
        return None
    secret = settings.section("keyring").password if is_export(text) else None
    password = secret.get_secret_value() if secret else None
    return await asyncio.to_thread(open_uri, text, password)

"""The monitor's service: what a page, PRB v2's tools and Prometheus ask, over HTTP."""

from __future__ import annotations

import asyncio
import hmac
import logging
import os
import secrets
from importlib import resources
from typing import Any

import orjson
from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import SecretStr

from prbkit.errors import ConfigError, PrbError, RemoteError, TransportError, Unauthorized
from prbkit.interfaces import Peer, ServiceContext, Transport
from prbkit.status import gather
from prbkit.wire import METHODS, from_json, to_json

from .metrics import render
from .settings import MonitorSettings

__all__ = ["Monitor"]

log = logging.getLogger(__name__)

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
BODY_LIMIT = 2**20
ROLES = {"data_provider": 1, "lifecycle": 3, "trader": 4}
"""PRB v2's WalkieRoles, of the services that have one."""


class Monitor:
    """Serves until cancelled. Reads are open to whoever reaches it; changes need the token."""

    def __init__(self, context: ServiceContext) -> None:
        self._context = context
        self._settings: MonitorSettings = context.section("monitor")
        self._token = self._settings.token or _kept_token(context)
        self._status: dict[str, Any] | None = None
        self._status_at = 0.0
        self._asking = asyncio.Lock()

    async def run(self) -> None:
        runner = web.AppRunner(self.app(), access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        try:
            try:
                await web.TCPSite(runner, self._settings.host, self._settings.port).start()
            except OSError as error:
                raise ConfigError(
                    f"cannot listen: {error.strerror}",
                    where=f"monitor.port = {self._settings.port}",
                    hint="choose a free port (0 is any)",
                ) from None
            host, port = runner.addresses[0][:2]
            url = f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"
            self._context.report_status("monitor", lambda: {"url": url})
            log.info("the monitor is at %s", url)
            await asyncio.Event().wait()
        finally:
            await runner.cleanup()

    def app(self) -> web.Application:
        """The routes; for tests too."""
        app = web.Application(
            middlewares=[self._only_known_hosts, self._say_errors], client_max_size=BODY_LIMIT
        )
        app.router.add_get("/", self._page)
        app.router.add_get("/api/status", self._get_status)
        app.router.add_route("*", "/ptp/discover", self._discover)
        app.router.add_route("*", "/ptp/proxy/{peer_id}/{method}", self._proxy)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        return app

    # --- what people see -----------------------------------------------------------------------

    async def _page(self, request: web.Request) -> web.Response:
        text = resources.files(__package__).joinpath("static/index.html").read_text("utf-8")
        return web.Response(
            text=text,
            content_type="text/html",
            headers={
                "Content-Security-Policy": "default-src 'self'; style-src 'unsafe-inline'; "
                "script-src 'unsafe-inline'; frame-ancestors 'none'",
                "X-Content-Type-Options": "nosniff",
            },
        )

    async def _get_status(self, request: web.Request) -> web.Response:
        return _json(await self._fresh_status())

    async def _fresh_status(self) -> dict[str, Any]:
        """The peers' status, asked at most every `refresh` seconds however many look."""
        async with self._asking:
            now = asyncio.get_running_loop().time()
            if self._status is None or now - self._status_at > self._settings.refresh:
                transport = await self._context.transport()
                self._status = await gather(transport, self._context.settings)
                self._status_at = now
            return self._status

    # --- PRB v2's proxy ------------------------------------------------------------------------

    async def _discover(self, request: web.Request) -> web.Response:
        transport = await self._context.transport()
        return _json(
            {
                "dataProviders": _peers(transport, "data_provider"),
                "lifecycleManagers": _peers(transport, "lifecycle"),
            }
        )

    async def _proxy(self, request: web.Request) -> web.Response:
        """Call a Walkie method of a peer with a JSON body; its answer as PRB v2 gives it."""
        name = request.match_info["method"]
        method = METHODS.get(name)
        if method is None:
            return _failed(404, "NOT_FOUND", f"there is no method {name}")
        if method.access == "command":
            self._check_token(request)
        body = await request.read()
        try:
            value = orjson.loads(body) if body.strip() else {}
        except orjson.JSONDecodeError as error:
            return _failed(400, "UNKNOWN", f"the body is not JSON: {error}")
        transport = await self._context.transport()
        answer = await transport.call(
            request.match_info["peer_id"],
            name,
            from_json(method.request, value),
            timeout=self._settings.timeout,
        )
        return _json({"data": to_json(answer), "hasError": False, "error": None, "meta": {}})

    def _check_token(self, request: web.Request) -> None:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(), self._token.get_secret_value().encode()):
            raise Unauthorized(
                "changes need the monitor's token",
                hint="send it as 'Authorization: Bearer …'; it is monitor.token of the settings, "
                "or in the file monitor.token of the data folder",
            )

    # --- what machines ask ---------------------------------------------------------------------

    async def _metrics(self, request: web.Request) -> web.Response:
        body, content_type = render(await self._fresh_status())
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def _healthz(self, request: web.Request) -> web.Response:
        return _json({"ok": True})

    async def _readyz(self, request: web.Request) -> web.Response:
        status = await self._fresh_status()
        ready = status["relay"]["committed"] is not None
        return _json({"ready": ready}, status=200 if ready else 503)

    # -------------------------------------------------------------------------------------------

    @web.middleware
    async def _only_known_hosts(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Refuse names that are not ours, so that no web page can reach us by rebinding DNS."""
        host = (
            request.host.rsplit(":", 1)[0]
            if "]" not in request.host
            else request.host[1:].split("]")[0]
        )
        if host not in LOOPBACK and host not in (self._settings.host, *self._settings.hosts):
            return _failed(421, "UNAUTHORIZED", f"{host} is not in monitor.hosts")
        return await handler(request)

    @web.middleware
    async def _say_errors(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except Unauthorized as error:
            return _failed(401, "UNAUTHORIZED", str(error))
        except RemoteError as error:
            codes = {"NOT_FOUND": 404, "DUPLICATED": 409, "UNAUTHORIZED": 403}
            return _failed(codes.get(error.kind, 502), error.kind, error.message)
        except TransportError as error:
            return _failed(502, "SERVER", str(error))
        except PrbError as error:
            return _failed(400, "UNKNOWN", str(error))


def _peers(transport: Transport, service: str) -> list[dict[str, Any]]:
    return [_peer(peer, service) for peer in transport.peers(service)]


def _peer(peer: Peer, service: str) -> dict[str, Any]:
    return {
        "peerId": peer.peer_id,
        "hostname": peer.hostname,
        "role": ROLES[service],
        "chainIdentity": peer.chain_identity,
        "bridgeIdentity": peer.bridge_identity,
        "remoteAddr": peer.address,
    }


def _json(value: Any, *, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(value), status=status, content_type="application/json")


def _failed(status: int, kind: str, message: str) -> web.Response:
    error = {"type": kind, "message": message}
    return _json({"data": None, "hasError": True, "error": error, "meta": {}}, status=status)


def _kept_token(context: ServiceContext) -> SecretStr:
    """The token of the data folder, made on the first start (mode 0600)."""
    file = context.settings.data_path("monitor.token")
    try:
        return SecretStr(file.read_text().strip())
    except FileNotFoundError:
        token = secrets.token_urlsafe(32)
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            out.write(token + "\n")
        return SecretStr(token)

"""Chromium without a window, driven by its DevTools protocol over a websocket."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SECONDS = 30
OPTIONS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
    "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-proxy-server", "--remote-debugging-port=0",
)  # fmt: skip


class Page:
    """One page: what a person does with it, and what it asked for, logged and threw."""

    def __init__(self, loop: asyncio.AbstractEventLoop, socket: Any) -> None:
        self.loop, self.socket = loop, socket
        self.count = 0
        self.requested: list[str] = []
        self.problems: list[str] = []
        for domain in ("Page", "Runtime", "Network", "Log", "DOM"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command and wait for its answer."""
        return self.loop.run_until_complete(asyncio.wait_for(self._call(method, params), SECONDS))

    async def _call(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        self.count += 1
        number = self.count
        await self.socket.send_json({"id": number, "method": method, "params": params})
        while True:
            message = json.loads((await self.socket.receive(timeout=SECONDS)).data)
            self._note(message)
            if message.get("id") == number:
                assert "error" not in message, message
                return message["result"]

    def _note(self, message: dict[str, Any]) -> None:
        method, params = message.get("method"), message.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requested.append(params["request"]["url"])
        if method == "Runtime.exceptionThrown":
            self.problems.append(params["exceptionDetails"].get("text", ""))
        if method == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.problems.append(params["entry"]["text"])

    def open(self, address: str) -> None:
        self.call("Page.navigate", url=address)
        self.until("document.body?.dataset.ready === 'yes'")

    def value(self, expression: str) -> Any:
        """What a JavaScript expression is worth."""
        found = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def until(self, expression: str) -> None:
        """Wait until an expression is true."""
        waiting = (
            "new Promise((done) => { const look = () => { let it = false;"
            f"try {{ it = Boolean({expression}); }} catch {{}}"
            "if (it) done(true); else setTimeout(look, 20); }; look(); })"
        )
        self.value(waiting)

    def text(self, selector: str) -> str:
        return self.value(f"document.querySelector({json.dumps(selector)}).textContent")

    def click(self, selector: str) -> None:
        """Press and release the mouse in the middle of an element."""
        found = json.dumps(selector)
        x, y = self.value(
            f"(() => {{ const it = document.querySelector({found}); it.scrollIntoView("
            "{ block: 'center' }); const box = it.getBoundingClientRect();"
            "return [box.x + box.width / 2, box.y + box.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def type(self, selector: str, text: str) -> None:
        """Click into a field, empty it, and type."""
        self.click(selector)
        self.value(f"document.querySelector({json.dumps(selector)}).select()")
        self.press("Backspace", 8)
        self.call("Input.insertText", text=text)

    def press(self, key: str, code: int) -> None:
        for kind in ("keyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code
            )

    def choose_file(self, selector: str, path: Path) -> None:
        """What the dialogue of a file field does."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", files=[str(path)], nodeId=node)

    def look(self, scheme: str, width: int, height: int = 900) -> None:
        """Light or dark, and how wide."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", features=features)
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip

    def picture(self) -> bytes:
        """The whole page as PNG."""
        found = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        return base64.b64decode(found["data"])


@contextmanager
def browser() -> Iterator[Page]:
    """A page in a browser of its own, which ends with it."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [CHROMIUM, *OPTIONS, f"--user-data-dir={profile}", "about:blank"],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            start_new_session=True,
        )  # fmt: skip
        loop = asyncio.new_event_loop()
        try:
            yield from _page(loop, _port(process))
        finally:
            loop.close()
            os.killpg(process.pid, 9)
            process.wait()
            process.stderr.close()


def _port(process: subprocess.Popen) -> int:
    for line in process.stderr:
        if found := re.search(r"DevTools listening on ws://127\.0\.0\.1:(\d+)/", line):
            return int(found[1])
    raise AssertionError("Chromium did not start")


def _page(loop: asyncio.AbstractEventLoop, port: int) -> Iterator[Page]:
    async def connect() -> tuple[aiohttp.ClientSession, Any]:
        session = aiohttp.ClientSession()
        async with session.get(f"http://127.0.0.1:{port}/json") as answer:
            (target,) = [it for it in await answer.json() if it["type"] == "page"]
        socket = await session.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=1 << 26)
        return session, socket

    session, socket = loop.run_until_complete(connect())
    try:
        yield Page(loop, socket)
    finally:
        loop.run_until_complete(socket.close())
        loop.run_until_complete(session.close())

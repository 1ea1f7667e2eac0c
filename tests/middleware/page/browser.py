"""A real browser for tests: Debian's chromium without a window, over the pipe of its DevTools protocol. It is gone,
with all that it wrote, when the `with` block ends.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from typing import Any

from tests.server import wait_for

NAMES = ("chromium", "chromium-browser", "google-chrome")
# Names are looked up nowhere, so that nothing but loopback can be asked; a container has no /dev/shm to speak of.
OPTIONS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1", "--remote-debugging-pipe",
)  # fmt: skip


class Browser:
    """One tab. browser.open(url); browser.js("document.title"); browser.wait("..."); browser.click("button")"""

    def __init__(self, send: int, receive: int) -> None:
        self._send = send
        self._receive = os.fdopen(receive, "rb", buffering=0)
        self._rest = b""
        self._numbers = itertools.count(1)
        self._session = ""
        self.said: list[str] = []  # errors of the page, of its policy among them
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Runtime", "Page", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.asked: list[str] = []  # what the page has asked for

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._send, json.dumps(message).encode() + b"\0")
        while True:
            told = self._next()
            if told.get("id") == number:
                assert "error" not in told, (method, told["error"])
                result: dict[str, Any] = told["result"]
                return result
            self._hear(told)

    def open(self, url: str, *, width: int = 1200, height: int = 900, dark: bool = False) -> None:
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Page.navigate", url=url)
        self.wait("document.readyState === 'complete'")

    def js(self, expression: str) -> Any:
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def wait(self, expression: str) -> Any:
        return wait_for(lambda: self.js(expression), expression)

    def click(self, selector: str) -> None:
        """As a hand does it: at a place, on whatever is there."""
        self.js(f"document.querySelector({json.dumps(selector)}).scrollIntoView({{block: 'center'}})")
        box = self.js(f"(b => [b.x + b.width / 2, b.y + b.height / 2])(document.querySelector({json.dumps(selector)}).getBoundingClientRect())")  # fmt: skip  # noqa: E501
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="left", clickCount=1)

    def picture(self, *, height: int) -> bytes:
        """A PNG of the page's upper part."""
        self.js("scrollTo(0, 0)")
        clip = {"x": 0, "y": 0, "width": self.js("innerWidth"), "height": height, "scale": 1}
        return base64.b64decode(self.call("Page.captureScreenshot", clip=clip)["data"])

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            piece = self._receive.read(65536)
            assert piece, "the browser has ended"
            self._rest += piece
        message, _, self._rest = self._rest.partition(b"\0")
        told: dict[str, Any] = json.loads(message)
        return told

    def _hear(self, told: dict[str, Any]) -> None:
        method, params = told.get("method"), told.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.said.append(json.dumps(params["exceptionDetails"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.said.append(params["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            self.asked.append(params["request"]["url"])


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    program = next(filter(None, map(shutil.which, NAMES)), None)
    assert program, "there is no chromium: make test-page installs it"
    (their_in, our_out), (our_in, their_out) = os.pipe(), os.pipe()
    with tempfile.TemporaryDirectory(prefix="page", ignore_cleanup_errors=True) as folder:
        # The protocol's pipes are numbers 3 and 4.
        script = f'exec "$@" 3<&{their_in} 4>&{their_out}'
        command = ("bash", "-c", script, "bash", program, *OPTIONS, f"--user-data-dir={folder}", "about:blank")
        env = {**os.environ, "HOME": folder, "XDG_CONFIG_HOME": folder, "XDG_CACHE_HOME": folder}
        quiet = subprocess.DEVNULL
        with subprocess.Popen(command, pass_fds=(their_in, their_out), env=env, stdout=quiet, stderr=quiet) as running:
            os.close(their_in)
            os.close(their_out)
            one = Browser(our_out, our_in)
            try:
                yield one
            finally:
                with contextlib.suppress(BrokenPipeError, AssertionError):
                    one.call("Browser.close")
                os.close(our_out)
                one._receive.close()
                try:
                    running.wait(30)
                except subprocess.TimeoutExpired:
                    running.kill()

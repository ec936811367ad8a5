"""A headless Chromium driven over two pipes (DevTools protocol): no driver package, no port, no network.

with Browser(folder) as browser:
    page = browser.open(path_of_html, width=360, dark=True)
    page.evaluate("document.title")
    page.requests, page.complaints
"""

import base64
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-extensions", "--hide-scrollbars",
    "--disable-default-apps", "--no-default-browser-check", "--mute-audio", "--remote-debugging-pipe",
    "--disable-dev-shm-usage", "--disable-features=DialMediaRouteProvider,OptimizationHints,MediaRouter",
)  # fmt: skip
TIMEOUT_S = 60.0


def find_chromium() -> str | None:
    """Path of a Chromium or Chrome; None where there is none."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class Browser:
    """One browser process; `open` gives a page of it."""

    def __init__(self, folder: Path) -> None:
        self._profile = tempfile.mkdtemp(dir=folder, prefix="profile-")
        self._number, self._buffer, self._events = 0, b"", []
        to_read, self._write = os.pipe()
        self._read, to_write = os.pipe()
        # Chromium reads commands from file 3 and answers on file 4. Its wrapper script may write to stdout.
        exec_with_pipes = f'exec "$@" 3<&{to_read} 4>&{to_write}'
        self._process = subprocess.Popen(
            ["bash", "-c", exec_with_pipes, "bash", str(find_chromium()), *FLAGS, f"--user-data-dir={self._profile}"],
            pass_fds=(to_read, to_write), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True, env={**os.environ, "HOME": self._profile},
        )  # fmt: skip
        os.close(to_read)
        os.close(to_write)

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *error: object) -> None:
        try:
            self.call("Browser.close")
            self._process.wait(10)
        except (OSError, TimeoutError, subprocess.TimeoutExpired):
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        os.close(self._read)
        os.close(self._write)
        shutil.rmtree(self._profile, ignore_errors=True)

    def open(self, path: Path, *, width: int = 1280, height: int = 900, dark: bool = False) -> "Page":
        """Load a file in a window of that size and wait until it is drawn."""
        target = self.call("Target.createTarget", {"url": "about:blank"})["targetId"]
        session = self.call("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        page = Page(self, session, target)
        for domain in ("Page", "Runtime", "Network", "Log"):
            page.call(f"{domain}.enable")
        page.resize(width, height)
        page.call("Emulation.setEmulatedMedia", {"features": [
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]})  # fmt: skip
        self._events.clear()
        page.call("Page.navigate", {"url": path.resolve().as_uri()})
        self.wait_for(lambda: any(event["method"] == "Page.loadEventFired" for event in self._events))
        page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))")
        return page

    def events(self, session: str) -> list[dict[str, Any]]:
        """What the page told since it was opened."""
        return [event for event in self._events if event.get("sessionId") == session]

    def call(self, method: str, params: dict[str, Any] | None = None, *, session: str | None = None) -> dict[str, Any]:
        """Send a command and wait for its answer; RuntimeError when the browser refuses it."""
        self._number += 1
        number = self._number
        message = {"id": number, "method": method, "params": params or {}} | ({"sessionId": session} if session else {})
        os.write(self._write, json.dumps(message).encode() + b"\0")
        answers: list[dict[str, Any]] = []

        def answered() -> bool:
            answers.extend(item for item in self._received() if item.get("id") == number)
            return bool(answers)

        self.wait_for(answered, read=False)
        if "error" in answers[0]:
            raise RuntimeError(f"{method}: {answers[0]['error']['message']}")
        found: dict[str, Any] = answers[0]["result"]
        return found

    def wait_for(self, ready: Any, *, read: bool = True) -> None:
        """Read events until `ready`; TimeoutError when that takes too long."""
        deadline = time.monotonic() + TIMEOUT_S
        while not ready():
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise TimeoutError("the browser does not answer")
            if read:
                self._received()

    def _received(self) -> list[dict[str, Any]]:
        """Messages that came in; waits for one at most a short while. Events are kept, answers returned."""
        import select

        if select.select([self._read], [], [], 0.2)[0]:
            self._buffer += os.read(self._read, 1 << 20)
        *whole, self._buffer = self._buffer.split(b"\0")
        messages = [json.loads(text) for text in whole]
        self._events += [message for message in messages if "method" in message]
        return [message for message in messages if "id" in message]


class Page:
    """One loaded page."""

    def __init__(self, browser: Browser, session: str, target: str) -> None:
        self.browser, self.session, self.target = browser, session, target

    def call(self, method: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
        """A command to this page."""
        return self.browser.call(method, params, session=self.session)

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression; a promise is awaited. Works although the page may run no script."""
        found = self.call("Runtime.evaluate", {"expression": expression, "returnByValue": True, "awaitPromise": True})
        if "exceptionDetails" in found:
            raise RuntimeError(found["exceptionDetails"].get("text", "") + str(found["result"].get("description", "")))
        return found["result"].get("value")

    def resize(self, width: int, height: int) -> None:
        """Lay the page out for a window of that many CSS pixels."""
        self.call("Emulation.setDeviceMetricsOverride", {
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": False})  # fmt: skip

    @property
    def requests(self) -> list[str]:
        """Addresses that the page asked for, itself and data inside it left out."""
        sent = [item["params"]["request"]["url"] for item in self._of("Network.requestWillBeSent")]
        return [url for url in sent[1:] if not url.startswith("data:")]

    @property
    def complaints(self) -> list[str]:
        """Errors and warnings of the console, exceptions, and violations of the page's security policy."""
        logged = [item["params"]["entry"]["text"] for item in self._of("Log.entryAdded")]
        logged += [str(item["params"]["args"]) for item in self._of("Runtime.consoleAPICalled")]
        return logged + [str(item["params"]["exceptionDetails"]) for item in self._of("Runtime.exceptionThrown")]

    def screenshot(self, path: Path, *, whole: bool = True) -> None:
        """A PNG of the page, the whole of it or what the window shows."""
        found = self.call("Page.captureScreenshot", {"format": "png", "captureBeyondViewport": whole})
        path.write_bytes(base64.b64decode(found["data"]))

    def close(self) -> None:
        """Close it."""
        self.browser.call("Target.closeTarget", {"targetId": self.target})

    def _of(self, method: str) -> list[dict[str, Any]]:
        return [event for event in self.browser.events(self.session) if event["method"] == method]

"""A headless Chromium, driven by its DevTools protocol through a pipe: no driver, no package, no port.

Source: the Chrome DevTools Protocol, and `--remote-debugging-pipe`: messages end in a zero byte, the browser
reads them from descriptor 3 and writes to 4.
"""

import base64
import contextlib
import fcntl
import json
import os
import select
import shutil
import signal
import time

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


def find_chromium():
    """Returns the path of an installed Chromium, or None; AEZOO_CHROMIUM names one."""
    return os.environ.get("AEZOO_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


class BrowserError(Exception):
    pass


class Browser:
    """One browser with one page; `events` holds what it told, in order."""

    def __init__(self, program, profile, width=1280, height=900):
        to_browser, self._write = os.pipe()
        self._read, from_browser = os.pipe()
        # Above 4, so that no end lies where the browser's own are to be.
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in (to_browser, from_browser)]
        arguments = [
            program,
            "--headless",
            "--no-sandbox",  # of no use in a container's root, and there is nothing but our own page
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--disable-component-update",
            "--no-first-run",
            "--mute-audio",
            "--force-color-profile=srgb",
            "--remote-debugging-pipe",
            f"--user-data-dir={profile}",
            f"--window-size={width},{height}",
            "about:blank",
        ]
        actions = [(os.POSIX_SPAWN_DUP2, ends[0], 3), (os.POSIX_SPAWN_DUP2, ends[1], 4)]
        quiet = os.open(os.devnull, os.O_RDWR)
        actions += [(os.POSIX_SPAWN_DUP2, quiet, number) for number in (1, 2)]
        # In a group of its own: its children end with it.
        self.pid = os.posix_spawn(program, arguments, os.environ, file_actions=actions, setpgroup=0)
        for end in (*ends, to_browser, from_browser, quiet):
            os.close(end)
        self._buffer, self._number, self.events, self._session = b"", 0, [], None
        try:
            pages = self.call("Target.getTargets")["targetInfos"]
            target = next(page["targetId"] for page in pages if page["type"] == "page")
            attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
            self._session = attached["sessionId"]
            for domain in ("Page", "Runtime", "Log", "Network"):
                self.call(f"{domain}.enable")
            self.size(width, height)
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        for end in (self._write, self._read):
            os.close(end)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)

    def call(self, method, *, seconds=60, **parameters):
        """Sends a command and returns its result; events that come before it are kept."""
        self._number += 1
        request = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            request["sessionId"] = self._session
        os.write(self._write, json.dumps(request).encode() + b"\0")
        deadline = time.monotonic() + seconds
        while True:
            answer = self._next(deadline)
            if answer is None:
                raise BrowserError(f"{method}: no answer within {seconds} s")
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise BrowserError(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def _next(self, deadline):
        while b"\0" not in self._buffer:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._read], [], [], left)[0]:
                return None
            got = os.read(self._read, 1 << 20)
            if not got:
                raise BrowserError("the browser has ended")
            self._buffer += got
        line, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(line)

    def size(self, width, height, *, phone=False):
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=2 if phone else 1,
            mobile=phone,
        )

    def dark(self, dark):
        feature = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[feature])

    def open(self, address):
        self.events.clear()
        self.call("Page.navigate", url=address)

    def run(self, expression, seconds=120):
        """Returns the value of a JavaScript expression; a promise is waited for."""
        done = self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True, seconds=seconds
        )
        if "exceptionDetails" in done:
            details = done["exceptionDetails"]
            raise BrowserError(details.get("exception", {}).get("description") or details["text"])
        return done["result"].get("value")

    def until(self, expression, seconds=60):
        """Waits until an expression holds."""
        deadline = time.monotonic() + seconds
        while not self.run(expression):
            if time.monotonic() > deadline:
                raise BrowserError(f"never came true: {expression}")
            time.sleep(0.05)

    def move(self, x, y, kind="mouseMoved"):
        button = {"button": "left", "clickCount": 1} if kind != "mouseMoved" else {}
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **button)

    def press(self, key):
        codes = {"Enter": 13, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}
        given = {"key": key, "code": key, "windowsVirtualKeyCode": codes[key]}
        for kind in ("rawKeyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, **given)

    def picture(self, *, whole=True):
        """Returns the page as PNG."""
        taken = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        return base64.b64decode(taken["data"])

    def complaints(self):
        """Returns what the page told its console, and errors of its own, texts."""
        self.run("0")  # what it told before has come then
        told = []
        for event in self.events:
            given = event.get("params", {})
            if event.get("method") == "Runtime.consoleAPICalled" and given["type"] in ("error", "warning"):
                told.append(" ".join(str(part.get("value", part)) for part in given["args"]))
            elif event.get("method") == "Log.entryAdded" and given["entry"]["level"] in ("error", "warning"):
                told.append(given["entry"]["text"])
            elif event.get("method") == "Runtime.exceptionThrown":
                told.append(json.dumps(given["exceptionDetails"])[:500])
        return told

    def addresses(self):
        """Returns every address that was asked for."""
        sent = (event for event in self.events if event.get("method") == "Network.requestWillBeSent")
        return [event["params"]["request"]["url"] for event in sent]

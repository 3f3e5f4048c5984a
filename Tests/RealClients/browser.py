"""A real browser for the cases: headless Chromium, driven by its DevTools protocol over a pipe. Needs no package.

    with stage.browser().page("http://127.0.0.1:8484/ui", width=390, height=844, dark=True) as page:
        page.wait_for("document.querySelector('button')")
        page.click("button.stop")
        expect(page.evaluate("fetch('/health').then(answer => answer.status)") == 200, "not healthy")
        page.picture("/tmp/phone-dark.png")
        expect(("button", "Stop") in page.accessible(), "no label")

`evaluate` awaits promises and gives back what JSON can hold. Every page has cookies and storage of its own. Names below
`.example` and `.test` lead to this machine, so that a page can come from a foreign origin:
`http://shop.example:PORT` is served by whoever listens on 127.0.0.1:PORT.
"""
import base64
import contextlib
import ctypes
import fcntl
import http.server
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import threading
import time

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")

# As root, and in most containers, Chromium's own sandbox cannot be set up; it sees nothing but our pages here.
OPTIONS = [
    "--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
    "--no-first-run", "--no-default-browser-check", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--disable-extensions", "--disable-default-apps", "--mute-audio", "--hide-scrollbars",
    "--host-resolver-rules=MAP *.example 127.0.0.1, MAP *.test 127.0.0.1", "about:blank",
]

KEYS = {"Enter": ("\r", 13), "Tab": ("", 9), "Escape": ("", 27), " ": (" ", 32), "ArrowDown": ("", 40), "ArrowUp": ("", 38)}


def program():
    """The browser of this machine, or None."""
    return next((path for path in map(shutil.which, PROGRAMS) if path), None)


class PageError(AssertionError):
    """The page threw, or the browser refused a command."""


class Browser:
    """One running Chromium. Commands wait for their answers; what happens meanwhile is kept for its page."""

    def __init__(self, folder):
        self.name = "chromium"
        self.log = os.path.join(tempfile.mkdtemp(prefix="chromium-", dir=folder), "log")
        theirs, self.commands = os.pipe()
        self.answers, their_answers = os.pipe()
        libc = ctypes.CDLL(None)

        def child():  # 3 is what it reads, 4 what it writes; both may be taken by the pipes themselves
            reading, writing = (fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (theirs, their_answers))
            os.dup2(reading, 3)
            os.dup2(writing, 4)
            libc.prctl(1, signal.SIGTERM)
        with open(self.log, "wb") as log:
            self.child = subprocess.Popen(
                [program(), "--user-data-dir=" + os.path.dirname(self.log), *OPTIONS], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, close_fds=False, preexec_fn=child, start_new_session=True)
        self.pid = self.child.pid
        os.close(theirs)
        os.close(their_answers)
        self.unread, self.number, self.answered, self.pages = b"", 0, {}, {}
        self.send("Browser.getVersion", seconds=60)

    def said(self):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return log.read()

    def send(self, method, session=None, seconds=30, **parameters):
        """One command; gives back its result."""
        self.number += 1
        number = self.number
        message = {"id": number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.commands, data):]
        end = time.monotonic() + seconds
        while number not in self.answered:
            self.read(end - time.monotonic(), method)
        answer = self.answered.pop(number)
        if "error" in answer:
            raise PageError(f"{method}: {answer['error'].get('message')}")
        return answer["result"]

    def read(self, seconds, awaiting="an event"):
        """Takes what the browser has to say, and waits for it this long."""
        if seconds <= 0 or not select.select([self.answers], [], [], seconds)[0]:
            raise PageError(f"{awaiting}: no answer in time")
        piece = os.read(self.answers, 1 << 20)
        if not piece:
            raise PageError(f"{awaiting}: the browser ended: {self.said()[-500:]}")
        *messages, self.unread = (self.unread + piece).split(b"\0")
        for message in map(json.loads, messages):
            if "id" in message:
                self.answered[message["id"]] = message
            elif page := self.pages.get(message.get("sessionId")):
                page.happened(message["method"], message["params"])

    def page(self, url="about:blank", **looks):
        """A new page, loaded. `looks`: see `Page.look`."""
        return Page(self, url, looks)

    def stop(self, patience=10):
        if self.child.poll() is None:
            with contextlib.suppress(PageError, OSError):
                self.send("Browser.close", seconds=patience)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.child.wait(patience)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)  # its own group: it and its helpers, nothing else
        os.close(self.commands)
        os.close(self.answers)
        return self.child.wait()


class Page:
    """One tab. `console` holds what the page wrote there and the errors that it did not catch."""

    def __init__(self, browser, url, looks):
        self.browser, self.console, self.loads = browser, [], 0
        self.context = browser.send("Target.createBrowserContext")["browserContextId"]
        self.target = browser.send("Target.createTarget", url="about:blank", browserContextId=self.context)["targetId"]
        self.session = browser.send("Target.attachToTarget", targetId=self.target, flatten=True)["sessionId"]
        browser.pages[self.session] = self
        for domain in ("Page", "Runtime", "Log"):
            self.send(domain + ".enable")
        self.look(**looks)
        if url != "about:blank":
            self.go(url)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, method, **parameters):
        return self.browser.send(method, session=self.session, **parameters)

    def happened(self, method, parameters):
        if method == "Page.loadEventFired":
            self.loads += 1
        elif method == "Runtime.consoleAPICalled":
            said = " ".join(str(one.get("value", one.get("description", ""))) for one in parameters["args"])
            self.console.append(f"{parameters['type']}: {said}")
        elif method == "Runtime.exceptionThrown":
            self.console.append("uncaught: " + told(parameters["exceptionDetails"]))
        elif method == "Log.entryAdded":
            self.console.append(f"{parameters['entry']['level']}: {parameters['entry']['text']}")

    def look(self, width=1200, height=800, dark=False, phone=False, scale=1, reduced_motion=False):
        """The size of the window in CSS pixels, and what the person prefers."""
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=phone)
        self.send("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
            {"name": "prefers-reduced-motion", "value": "reduce" if reduced_motion else "no-preference"}])

    def go(self, url, seconds=30):
        """Opens the address and waits until it has loaded; a refused connection raises, an answer of 403 does not."""
        before = self.loads
        if error := self.send("Page.navigate", url=url).get("errorText"):
            raise PageError(f"{url}: {error}")
        self.until(lambda: self.loads > before, seconds, url + " to load")

    def evaluate(self, expression, seconds=30):
        """The value of an expression in the page, awaited if it is a promise."""
        answer = self.send("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True,
                           userGesture=True, seconds=seconds)
        if "exceptionDetails" in answer:
            raise PageError(told(answer["exceptionDetails"]))
        return answer["result"].get("value")

    def wait_for(self, expression, seconds=10):
        """Waits until the expression is true in the page; gives back its value."""
        end = time.monotonic() + seconds
        while not (value := self.evaluate(expression)):
            if time.monotonic() > end:
                raise PageError(f"not within {seconds} s: {expression}; the console: {self.console[-5:]}")
            time.sleep(0.02)
        return value

    def until(self, condition, seconds, what):
        """Waits for what the page tells by itself."""
        end = time.monotonic() + seconds
        while not condition():
            self.browser.read(end - time.monotonic(), what)

    def text(self, selector="body"):
        return self.evaluate(f"document.querySelector({json.dumps(selector)})?.innerText")

    def click(self, selector):
        """A click of the mouse in the middle of the element, as a person would: what lies over it gets it instead."""
        place = self.evaluate(f"""(() => {{
            const element = document.querySelector({json.dumps(selector)});
            if (!element) return null;
            element.scrollIntoView({{block: 'center', inline: 'center'}});
            const box = element.getBoundingClientRect();
            return [box.left + box.width / 2, box.top + box.height / 2, box.width * box.height];
        }})()""")
        if not place or not place[2]:
            raise PageError(f"there is no {selector} to click")
        for kind in ("mousePressed", "mouseReleased"):
            self.send("Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1], button="left", clickCount=1)

    def write(self, text):
        """Types into what has the focus."""
        self.send("Input.insertText", text=text)

    def press(self, key):
        """One of `KEYS`, pressed and let go."""
        text, code = KEYS[key]
        names = {"key": key, "code": "Space" if key == " " else key, "windowsVirtualKeyCode": code}
        self.send("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", text=text, **names)
        self.send("Input.dispatchKeyEvent", type="keyUp", **names)

    def accessible(self):
        """What a screen reader is told, in order: (role, name)."""
        nodes = self.send("Accessibility.getFullAXTree")["nodes"]
        return [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes
                if not node["ignored"] and node["role"]["value"] != "InlineTextBox"]

    def picture(self, path, whole=False):
        """Writes a PNG of what is seen, or of the whole page."""
        data = self.send("Page.captureScreenshot", captureBeyondViewport=whole)["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))

    def close(self):
        self.browser.pages.pop(self.session, None)
        with contextlib.suppress(PageError):
            self.browser.send("Target.disposeBrowserContext", browserContextId=self.context)


def told(details):
    """What an exception in the page says."""
    return details.get("exception", {}).get("description") or details["text"]


@contextlib.contextmanager
def served(text, kind="text/html; charset=utf-8"):
    """Serves one page on all its paths, for as long as the block runs; gives the port. Every name leads to it."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_):
            pass
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()

"""Left running: Prometheus, systemd's protocols, the Debian package, the manual page."""
import concurrent.futures
import glob
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.parse

from harness import PROJECT, Skip, case, chat, expect, fetch, free_port, wait_until
from operator_cases import PATH, bearer, ready, sluice_for

RULES = os.path.join(PROJECT, "config", "prometheus", "sluice.rules.yaml")
DASHBOARD = os.path.join(PROJECT, "config", "prometheus", "grafana-dashboard.json")


def tool(name):
    """The path of a program of Debian's prometheus package, as installed or as scripts/setup has unpacked it."""
    cache = os.environ.get("SLUICE_CACHE") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache"), "sluice")
    found = shutil.which(name) or shutil.which(name, path=os.path.join(cache, "prometheus", "usr", "bin"))
    if not found:
        raise Skip(f"{name} is not there: scripts/setup fetches Debian's prometheus package where it can")
    return found


def run(*command, **more):
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **more)


def some_traffic(url, headers):
    for number in range(6):
        expect(fetch(url, "POST", PATH, chat("mock", "x", stream=number % 2 == 0), headers).status == 200, "no answer")
    fetch(url, "POST", PATH, chat("no-such-model", "x"), headers)


KEYS = "keys: [{name: ann, key: sk-ann, max_in_flight: 9, tokens_per_day: 100000}]\n"


@case("promtool accepts the metrics, the alert rules and the example configuration")
def promtool(stage):
    program = tool("promtool")
    _, url = sluice_for(stage, KEYS)
    ready(url)
    some_traffic(url, bearer("sk-ann"))
    text = fetch(url, "GET", "/metrics", headers=bearer("sk-ann")).body.decode()
    check = run(program, "check", "metrics", input=text)
    expect(check.returncode == 0 and not check.stderr.strip(), check.stderr + check.stdout)
    for command in (["rules", RULES], ["config", os.path.join(PROJECT, "config", "prometheus", "prometheus.example.yml")]):
        check = run(program, "check", *command)
        expect(check.returncode == 0 and "SUCCESS" in check.stdout, check.stderr + check.stdout)
    return f"{len(text.splitlines())} lines"


def dashboard_queries():
    with open(DASHBOARD) as file:
        panels = json.load(file)["panels"]
    for panel in panels:
        for target in panel["targets"]:
            query = target["expr"].replace("$__rate_interval", "5s").replace("$instance", ".*").replace("$model", ".*")
            yield panel["title"], query


@case("a real Prometheus scrapes it; every panel of the dashboard has data, and every alert rule can be asked", seconds=120)
def prometheus(stage):
    program = tool("prometheus")
    process, url = sluice_for(stage, KEYS)
    ready(url)
    port = free_port()
    folder = os.path.join(stage.folder, "prometheus")
    os.mkdir(folder)
    shutil.copy(RULES, folder)
    with open(os.path.join(folder, "prometheus.yml"), "w") as file:
        file.write(f"""global: {{scrape_interval: 500ms, evaluation_interval: 500ms}}
rule_files: [sluice.rules.yaml]
scrape_configs:
  - job_name: sluice
    authorization: {{credentials: sk-ann}}
    static_configs: [{{targets: ["{url.split('://')[1]}"]}}]
""")
    stage.start("prometheus", [
        program, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address=127.0.0.1:{port}"])
    base = f"http://127.0.0.1:{port}"

    def query(text):
        answer = fetch(base, "GET", "/api/v1/query?" + urllib.parse.urlencode({"query": text})).json()
        expect(answer["status"] == "success", f"{text}: {answer}")
        return answer["data"]["result"]
    wait_until(lambda: query('up{job="sluice"} == 1'), 30, 0.2)
    end = time.monotonic() + 4
    while time.monotonic() < end:
        some_traffic(url, bearer("sk-ann"))
        time.sleep(0.2)
    empty = []
    queries = list(dashboard_queries())
    for title, text in queries:
        try:
            wait_until(lambda: query(text), 3, 0.3)
        except AssertionError:
            empty.append(f"{title}: {text}")
        some_traffic(url, bearer("sk-ann"))
    expect(not empty, "; ".join(empty))
    rules = fetch(base, "GET", "/api/v1/rules").json()["data"]["groups"][0]["rules"]
    bad = [rule["name"] for rule in rules if rule["health"] != "ok"]
    expect(len(rules) >= 13 and not bad, f"rules {bad}")
    # An ordinary run alarms nobody.
    firing = [rule["name"] for rule in rules if rule["state"] != "inactive"]
    expect(not firing, f"{firing} of a healthy Sluice")
    process.stop()
    wait_until(lambda: query('ALERTS{alertname="SluiceDown"}'), 10, 0.3)
    return f"{len(queries)} queries, {len(rules)} rules"


# ---- systemd ----

class Listener:
    """The socket that systemd would listen on for sd_notify."""

    def __init__(self, name):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(name)
        self.socket.settimeout(10)

    def until(self, wanted):
        """What is heard until it is this text, or matches this pattern."""
        heard = [""]
        while not (heard[-1] == wanted if isinstance(wanted, str) else wanted.fullmatch(heard[-1])):
            heard.append(self.socket.recv(4096).decode())
        return heard


@case("systemd is told when Sluice is ready, alive, reloading and stopping, by path and by abstract name")
def notify(stage):
    for workers in (1, 2):
        for name in (os.path.join(stage.folder, f"notify-{workers}"), f"\0sluice-test-{os.getpid()}-{workers}"):
            listener = Listener(name)
            path = stage.write(f"listen: 127.0.0.1:0\nworkers: {workers}\nbackends: [{{name: mock, kind: llama-server, "
                               f"url: '{stage.mock()}'}}]\n")
            process = stage.start("notify", [stage.options.sluice, "--config", path], env={
                "NOTIFY_SOCKET": name.replace("\0", "@"), "WATCHDOG_USEC": "400000"})
            listener.until("READY=1")
            listener.until("WATCHDOG=1")
            listener.until("WATCHDOG=1")
            for text in (None, "listen: no\n"):  # also when the file cannot be used
                if text:
                    with open(path, "w") as file:
                        file.write(text)
                before = time.monotonic_ns() // 1000
                os.kill(process.pid, signal.SIGHUP)
                said = re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=(\d+)", listener.until(re.compile("RELOADING=1.*", re.S))[-1])
                expect(said and before <= int(said.group(1)) <= time.monotonic_ns() // 1000, f"said {said}")
                listener.until("READY=1")
            expect("not reloaded" in process.said(), "the bad file")
            expect(process.stop() == 0, "exit code")
            listener.until("STOPPING=1")


@case("a Unix socket with two workers: all is answered, and the socket is used again after a kill -9")
def unix_socket(stage):
    path = os.path.join(stage.folder, "two-workers.sock")

    def ask(request):
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(10)
            client.connect(path)
            client.sendall(request)
            return b"".join(iter(lambda: client.recv(65536), b""))
    body = json.dumps(chat("mock", "x", stream=True)).encode()
    request = (b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
               % len(body) + body)
    for how in ("kill", "stop", "stop"):
        process, url = stage.sluice_with(
            f"listen: [127.0.0.1:0, 'unix:{path}']\nworkers: 2\nbackends: [{{name: mock, kind: llama-server, "
            f"url: '{stage.mock()}'}}]\n", name="unix")
        ready(url)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(ask, [request] * 40))
        whole = sum(b" 200 " in answer and b"[DONE]" in answer for answer in answers)
        expect(whole == 40, f"{whole} of 40 were answered: {answers[0][:200]}")
        expect(fetch(url, "POST", PATH, chat("mock", "x")).status == 200, "over TCP")
        if how == "kill":
            process.child.kill()
            process.child.wait()
        else:
            expect(process.stop() == 0, "exit code")


def activated(stage, listening, text, name="activated", pid=True):
    """Starts Sluice with these sockets as descriptors 3 and on."""
    command = [stage.options.sluice, "--config", stage.write(text)]
    log = open(os.path.join(stage.folder, f"{name}-{len(stage.processes)}.log"), "w+")

    def child():
        for place, one in enumerate(listening):
            os.dup2(one.fileno(), 30 + place)
        for place in range(len(listening)):
            os.dup2(30 + place, 3 + place, inheritable=True)
        os.environ["LISTEN_PID"] = str(os.getpid() if pid else 1)
        os.environ["LISTEN_FDS"] = str(len(listening))
        os.execv(command[0], command)
    number = os.fork()
    if number == 0:
        try:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
            child()
        finally:
            os._exit(99)
    return number, log


def end(number):
    os.kill(number, 15)
    return os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])


@case("socket activation: it serves the sockets it is given, TCP and Unix, and clients that came before it are answered")
def activation(stage):
    backend = f"backends: [{{name: mock, kind: llama-server, url: '{stage.mock()}'}}]\n"
    for workers in (1, 2):
        path = os.path.join(stage.folder, f"activated-{workers}.sock")
        tcp = socket.create_server(("127.0.0.1", 0))
        unix = socket.socket(socket.AF_UNIX)
        unix.bind(path)
        unix.listen()
        early = socket.create_connection(tcp.getsockname())
        early.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        taken = free_port()
        number, _ = activated(stage, [tcp, unix], f"listen: 127.0.0.1:{taken}\nworkers: {workers}\n" + backend)
        try:
            early.settimeout(10)
            expect(early.recv(100).startswith(b"HTTP/1.1 200"), "who came early is answered")
            url = ready("http://127.0.0.1:%d" % tcp.getsockname()[1])
            for _ in range(10):
                expect(fetch(url, "POST", PATH, chat("mock", "x")).status == 200, "over TCP")
            for _ in range(5):
                with socket.socket(socket.AF_UNIX) as client:
                    client.settimeout(10)
                    client.connect(path)
                    client.sendall(b"GET /v1/models HTTP/1.0\r\n\r\n")
                    expect(client.recv(100).startswith(b"HTTP/1."), "over the Unix socket")
            with socket.socket() as probe:
                expect(probe.connect_ex(("127.0.0.1", taken)) != 0, "listen is not used")
        finally:
            code = end(number)
        expect(code == 0, f"exit {code}")
        tcp.close()
        unix.close()
    # Sockets that others can reach need keys; sockets of somebody else's are left alone.
    foreign = socket.create_server(("0.0.0.0", 0))
    number, log = activated(stage, [foreign], backend)
    code = os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])
    log.seek(0)
    said = log.read()
    expect(code == 1 and "keys" in said, f"exit {code}: {said}")
    own = free_port()
    number, _ = activated(stage, [foreign], f"listen: 127.0.0.1:{own}\n" + backend, pid=False)
    ready(f"http://127.0.0.1:{own}")
    expect(end(number) == 0, "exit code")
    plain = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    number, log = activated(stage, [plain], backend)
    code = os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])
    log.seek(0)
    expect(code == 1 and "listening socket" in log.read(), f"exit {code}")


@case("clients that came before Sluice did get their answers; one that asks for what is not there waits 2 s for it")
def early(stage):
    body = json.dumps(chat("mock", "x")).encode()

    def ask(address, model=b"mock"):
        client = socket.create_connection(address)
        text = body.replace(b"mock", model)
        client.sendall(b"POST %b HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%b" % (PATH.encode(), len(text), text))
        client.settimeout(10)
        return client
    for workers in (1, 2):
        for models in ("", ", models: [mock]"):
            tcp = socket.create_server(("127.0.0.1", 0))
            clients = [ask(tcp.getsockname()) for _ in range(20)]
            lists = {}
            for path in ("/v1/models", "/api/tags"):
                lists[path] = socket.create_connection(tcp.getsockname(), timeout=10)
                lists[path].sendall(b"GET %b HTTP/1.1\r\nHost: localhost\r\n\r\n" % path.encode())
            number, log = activated(stage, [tcp], f"workers: {workers}\nbackends: [{{name: mock, kind: llama-server, url: "
                                                  f"'{stage.mock()}'{models}}}]\n")
            try:
                firsts = [client.recv(100)[:12] for client in clients]
                listed = {path: b'"mock"' in client.recv(10000) for path, client in lists.items()}
            finally:
                end(number)
            expect(set(firsts) == {b"HTTP/1.1 200"}, f"{workers} workers{models}: {firsts}")
            expect(all(listed.values()), f"{workers} workers{models}: lists {listed}")
    # It accepts, for its kernel does, and never says a word.
    silent = socket.create_server(("127.0.0.1", 0))
    tcp = socket.create_server(("127.0.0.1", 0))
    number, log = activated(stage, [tcp], "backends: [{name: silent, kind: openai, url: 'http://127.0.0.1:%d'}, "
                            "{name: mock, url: '%s'}]\n" % (silent.getsockname()[1], stage.mock()))
    try:
        begin = time.monotonic()
        known, unknown = ask(tcp.getsockname()), ask(tcp.getsockname(), b"nobody")
        expect(known.recv(100).startswith(b"HTTP/1.1 200"), "the one that is there")
        soon = time.monotonic() - begin
        expect(soon < 1, f"held up for {soon:.2f} s")
        expect(unknown.recv(100).split(b" ")[1] in (b"404", b"503"), "the one that is not")
        late = time.monotonic() - begin
        expect(1.9 < late < 3, f"after {late:.2f} s")
    finally:
        end(number)
    return f"known: {soon * 1000:.0f} ms, unknown: {late:.2f} s"


@case("it listens on IPv4, IPv6 and a Unix socket at once, and asks a backend over a Unix socket")
def listeners(stage):
    with open("/proc/net/if_inet6") as file:
        if "00000000000000000000000000000001" not in file.read():
            raise Skip("this machine has no IPv6 loopback")
    for workers in (1, 2):
        path = os.path.join(stage.folder, f"listen-{workers}.sock")
        text = (f"workers: {workers}\nlisten: ['127.0.0.1:0', '[::1]:0', 'unix:{path}']\n"
                f"backends: [{{name: mock, kind: llama-server, url: '{stage.mock()}'}}]\n")
        process, url = stage.sluice_with(text, name="listeners")
        ready(url)
        six = re.search(r"http://\[::1\]:\d+", process.said()).group(0)
        front, by_unix = stage.sluice_with(f"listen: 127.0.0.1:0\nbackends: [{{name: far, kind: openai, url: 'unix:{path}'}}]\n")
        ready(by_unix)
        for name, command in {"IPv4": [url], "IPv6": ["-g", six], "a Unix socket": ["--unix-socket", path, "http://localhost"],
                              "a backend's Unix socket": [by_unix]}.items():
            for _ in range(4 * workers):
                *options, base = command
                asked = run("curl", "-sSN", *options, base + PATH, "-d", json.dumps(chat("mock", "x", stream=True)))
                expect(asked.returncode == 0 and asked.stdout.rstrip().endswith("data: [DONE]"), f"{name}: {asked.stdout}{asked.stderr}")
        # After a kill -9 the socket's file is left; it must not keep the next one from starting.
        process.child.kill()
        process.child.wait()
        process, url = stage.sluice_with(text, name="listeners")
        ready(url)
        expect(run("curl", "-sS", "--unix-socket", path, "http://localhost/health").stdout == '{"status":"ok"}', "after kill -9")
        expect(process.stop() == 0, "exit code")
        front.stop()


# ---- the package ----

@case("the Debian package holds what it should, installs into a folder, and the program in it gives a first token", seconds=300)
def package(stage):
    if not shutil.which("dpkg-deb"):
        raise Skip("this is no Debian")
    binary = stage.options.sluice
    if "libswift" in run("ldd", binary).stdout:
        raise Skip("the program tested is not built as scripts/package builds it")
    made = [run(os.path.join(PROJECT, "scripts", "package"), "--binary", binary, "--output",
                os.path.join(stage.folder, f"deb{turn}")) for turn in (1, 2)]
    expect(all(one.returncode == 0 for one in made), made[0].stderr[-500:])
    first, second = (one.stdout.strip() for one in made)
    with open(first, "rb") as one, open(second, "rb") as other:
        expect(one.read() == other.read(), "the same commit gave other bytes")
    fields = run("dpkg-deb", "--field", first).stdout
    for wanted in ("libc6", "libevent-core-2.1-7", "libyaml-0-2"):
        expect(wanted in re.search("Depends: (.*)", fields).group(1), fields)
    root = os.path.join(stage.folder, "root")
    os.makedirs(os.path.join(root, "var/lib/dpkg/updates"))
    os.makedirs(os.path.join(root, "var/lib/dpkg/info"))
    for name in ("status", "available"):
        open(os.path.join(root, "var/lib/dpkg", name), "w").close()
    install = run("dpkg", "--root=" + root, "--force-depends", "--force-script-chrootless", "--force-not-root",
                  "--log=/dev/null", "--install", first)
    expect(install.returncode == 0, install.stderr[-500:])
    for path, mode in (("usr/bin/sluice", 0o755), ("etc/sluice/sluice.yaml", 0o644), ("lib/systemd/system/sluice.service", 0o644),
                       ("usr/share/man/man1/sluice.1.gz", 0o644), ("usr/share/doc/sluice/copyright", 0o644),
                       ("usr/share/doc/sluice/changelog.gz", 0o644),
                       ("usr/share/doc/sluice/examples/sluice.example.yaml", 0o644),
                       ("usr/share/doc/sluice/examples/prometheus/sluice.rules.yaml", 0o644)):
        found = os.stat(os.path.join(root, path)).st_mode & 0o777
        expect(found == mode, f"{path}: {found:o}")
    program = os.path.join(root, "usr/bin/sluice")
    expect("no symbols" in run("nm", program).stderr, "the program has symbols")
    check = run(program, "--config", os.path.join(root, "etc/sluice/sluice.yaml"), "--listen", "127.0.0.1:0",
                "--backend", "llama-server=" + stage.mock(), "--check")
    expect(check.returncode == 0, check.stdout + check.stderr)
    process = stage.start("packaged", [program, "--config", os.path.join(root, "etc/sluice/sluice.yaml"), "--listen",
                                       "127.0.0.1:0", "--backend", "llama-server=" + stage.mock()])
    url = ready(process.url())
    expect(b"[DONE]" in fetch(url, "POST", PATH, chat("mock", "x", stream=True)).body, "no stream")
    expect(process.stop() == 0, "exit code")
    remove = run("dpkg", "--root=" + root, "--force-script-chrootless", "--force-not-root", "--log=/dev/null", "--purge", "sluice")
    expect(remove.returncode == 0, remove.stderr[-500:])
    left = [path for path in glob.glob(root + "/**", recursive=True) if os.path.isfile(path) and "/var/lib/dpkg/" not in path]
    expect(not left, f"left behind: {left}")
    return f"{os.path.getsize(first) / 1e6:.1f} MB; " + re.search("Depends: (.*)", fields).group(1)


@case("the manual page is clean for groff and mandoc, and has every option of --help")
def manual(stage):
    page = os.path.join(PROJECT, "docs", "sluice.1")
    if not shutil.which("groff") or not shutil.which("mandoc"):
        raise Skip("groff or mandoc is not there: scripts/setup installs them on Debian")
    for command in (["groff", "-man", "-ww", "-z", "-Tutf8"], ["mandoc", "-T", "lint", "-W", "warning"]):
        check = run(*command, page)
        expect(check.returncode == 0 and not check.stderr.strip(), check.stdout + check.stderr)
    with open(page) as file:
        text = file.read().replace("\\-", "-")
    helped = run(stage.options.sluice, "--help").stdout
    options = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", helped)) - {"--option"}
    missing = [option for option in sorted(options) if option not in text]
    expect(len(options) >= 8 and not missing, f"not in the manual: {missing}")
    extra = [option for option in set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)) - options - {"--option"}]
    expect(not extra, f"not in --help: {extra}")


@case("the units are right, and systemd rates the service safe")
def units(stage):
    if not shutil.which("systemd-analyze"):
        raise Skip("systemd-analyze is not there")
    unit = os.path.join(PROJECT, "config", "sluice.service")
    rating = run("systemd-analyze", "security", "--offline=true", "--no-pager", unit)
    found = re.search(r"Overall exposure level for sluice.service: ([0-9.]+)", rating.stdout)
    if not found:
        raise Skip("systemd-analyze cannot rate it here: " + rating.stderr.strip()[-100:])
    with open(os.path.join(PROJECT, "docs", "OPERATIONS.md")) as page:
        expect(f"rates it {found.group(1)} " in page.read(), f"the page says something else than {found.group(1)}")
    for name in ("sluice.service", "sluice.socket"):
        said = run("systemd-analyze", "verify", "--man=no", os.path.join(PROJECT, "config", name)).stderr
        wrong = [line for line in said.splitlines() if "Unknown" in line or "Invalid" in line or "Failed to parse" in line]
        expect(not wrong, "; ".join(wrong))
    return f"exposure {found.group(1)}"

"""Live changes under load: plugin edits and manifest edits in turn, while clients hold their connections.

Every edit is made as an editor makes it (a new file renamed over the old one) and counts as done once an answer
shows it. Held to: no failed request, no connection closed by the proxy, memory as it was.
"""

import dataclasses
import pathlib
import socket
import threading
import time

from . import host
from .figures import Bar, exact
from .gates import settled_pss
from .host import BenchError
from .load import ask, open_idle, read_answer
from .manifests import ingress, write_manifests
from .peers import Moongate, Server, fresh
from .process import Running
from .workloads import HOST, PLAIN

EDITS = 1000
CLIENTS = 16
RESTING = 64
# How long a client waits between two requests; resting ones less than the keep-alive timeout of 75 s.
PACE_SECONDS = 0.01
REST_SECONDS = 20.0
LIVE_SECONDS = 10.0
# Long enough that nothing of an edit is left: a request in flight may hold its generation for a minute.
FORGET_SECONDS = 65.0
# The first edits fill caches that then stay; memory is compared from there on.
WARM_SHARE = 0.2

ROUTE = "app-00000"
STAMP = """return plugin {
  name = "bench-stamp",
  doc = "Marks answers with the number of the edit that wrote this file.",
  stage = "rewrite",
  annotations = {
    stamp = { type = "string", names = { "bench.moongate.io/stamp" } },
  },
  configure = function(opts)
    return { stamp = opts.stamp }
  end,
  on_response = function(res, state)
    res.headers["X-Plugin-Edit"] = "%(number)d"
    res.headers["X-Manifest-Edit"] = state.stamp
  end,
}
"""


@dataclasses.dataclass
class Counts:
    """What the clients saw."""

    requests: int = 0
    failed: int = 0
    closed: int = 0
    examples: list[str] = dataclasses.field(default_factory=list)

    def remember(self, what: str) -> None:
        if len(self.examples) < 5:
            self.examples.append(what)


class Client(threading.Thread):
    """One keep-alive connection that asks at a steady pace, and opens a new one only if it must."""

    def __init__(self, port: int, pace: float, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self.port, self.pace, self.stop, self.counts = port, pace, stop, Counts()
        self.connection: socket.socket | None = None

    def run(self) -> None:
        stopped = False
        while not stopped:
            # The last round comes after the stop: it shows whether a resting connection is still there.
            stopped = self.stop.wait(self.pace)
            try:
                self.ask()
            except (OSError, BenchError) as error:
                self.counts.failed += 1
                self.counts.closed += 1
                self.counts.remember(str(error))
                self.connection = None
        if self.connection is not None:
            self.connection.close()

    def ask(self) -> None:
        self.counts.requests += 1
        if self.connection is None:
            [self.connection] = open_idle(self.port, HOST, 1)
            return
        self.connection.sendall(f"GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        status = read_answer(self.connection)
        if status != 200:
            self.counts.failed += 1
            self.counts.remember(f"status {status}")


class Load:
    """Busy clients, and clients that rest for almost the whole time."""

    def __init__(self, port: int) -> None:
        self.stop = threading.Event()
        paces = [PACE_SECONDS] * CLIENTS + [REST_SECONDS] * RESTING
        self.clients = [Client(port, pace, self.stop) for pace in paces]
        for client in self.clients:
            client.start()

    def end(self) -> Counts:
        self.stop.set()
        total = Counts()
        for client in self.clients:
            client.join(30)
            total.requests += client.counts.requests
            total.failed += client.counts.failed
            total.closed += client.counts.closed
            for example in client.counts.examples:
                total.remember(example)
        return total


class Editor:
    """Writes files the way an editor does, and waits until answers show it."""

    def __init__(self, folder: pathlib.Path, server: Server | None) -> None:
        self.folder, self.server = folder, server

    def write(self, path: pathlib.Path, text: str) -> None:
        temporary = path.with_name(f".{path.name}.new")
        temporary.write_text(text)
        temporary.replace(path)

    def plugin(self, number: int) -> None:
        self.write(self.folder / "plugins" / "stamp.lua", STAMP % {"number": number})

    def manifest(self, number: int) -> None:
        text = ingress(ROUTE, HOST, "/", "app", {"bench.moongate.io/stamp": f"edit-{number}"})
        self.write(self.folder / "manifests" / "ingress-00000.yaml", text)

    def edit(self, number: int) -> float:
        """Make one edit; how many seconds it took to be live."""
        is_plugin = number % 2 == 0
        (self.plugin if is_plugin else self.manifest)(number)
        header, value = ("x-plugin-edit", str(number)) if is_plugin else ("x-manifest-edit", f"edit-{number}")
        started = time.monotonic()
        while time.monotonic() - started < LIVE_SECONDS:
            if self.live(header) == value:
                return time.monotonic() - started
            time.sleep(0.005)
        raise BenchError(f"edit {number} ({header}) was not live within {LIVE_SECONDS:.0f} s: {self.problems()}")

    def live(self, header: str) -> str | None:
        assert self.server
        return ask(self.server.port, "/", {"Host": HOST}).headers.get(header)

    def problems(self) -> str:
        assert self.server and self.server.admin
        return ask(self.server.admin, "/api/problems", {}).body.decode(errors="replace")[:600]


@dataclasses.dataclass
class Outcome:
    """What a thousand edits did."""

    edits: int
    counts: Counts
    live_ms: list[float]
    pss_mib: dict[str, float]

    def bars(self) -> list[Bar]:
        flat = self.pss_mib["after"] / self.pss_mib["warm"]
        return [
            Bar(f"{self.edits} live edits: failed requests", 0, exact(self.counts.failed), "requests"),
            Bar(f"{self.edits} live edits: connections closed by us", 0, exact(self.counts.closed), "connections"),
            Bar(f"{self.edits} live edits: memory afterwards / after the first fifth", 1.10, exact(flat)),
        ]

    def report(self) -> str:
        live = sorted(self.live_ms)
        memory = ", ".join(f"{name} {mib:.1f}" for name, mib in self.pss_mib.items())
        lines = [
            f"### {self.edits} live edits under load",
            "",
            f"- {self.counts.requests:,} requests on {CLIENTS} connections (and {RESTING} resting ones): "
            f"{self.counts.failed} failed, {self.counts.closed} connections closed",
            f"- an edit was live after {live[len(live) // 2]:.0f} ms (median), {live[-1]:.0f} ms (longest)",
            f"- Pss MiB: {memory}",
            *(f"- failure: {example}" for example in self.counts.examples),
        ]
        return "\n".join(lines) + "\n"


def run_reloads(moongate: Moongate, backend: int, edits: int, forget: float = FORGET_SECONDS) -> Outcome:
    """Start Moongate with one route and one plugin of our own, and edit both."""
    proxy_core, _ = host.cores()
    folder = fresh("moongate-reloads")
    write_manifests(folder / "manifests", PLAIN, backend, "", "")
    (folder / "plugins").mkdir()
    Editor(folder, None).plugin(0)
    Editor(folder, None).manifest(0)
    with Running() as running:
        server = moongate.start(folder / "manifests", proxy_core, "--plugins", str(folder / "plugins"))
        running.add(server.process)
        editor = Editor(folder, server)
        pss = {"before": settled_pss(server.process) / 1024}
        load = Load(server.port)
        live_ms = []
        try:
            for number in range(1, edits + 1):
                live_ms.append(1000 * editor.edit(number))
                if number == max(1, int(edits * WARM_SHARE)):
                    pss["warm"] = server.process.pss_kib() / 1024
            pss["at the end"] = server.process.pss_kib() / 1024
        finally:
            counts = load.end()
        time.sleep(forget)
        # One more edit lets go of what waited for its age.
        editor.edit(edits + 1)
        pss["after"] = settled_pss(server.process) / 1024
    return Outcome(edits, counts, live_ms, pss)

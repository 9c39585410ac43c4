"""Load: wrk with a script of its own for each workload, and single requests to see that answers are right."""

import contextlib
import dataclasses
import http.client
import json
import pathlib
import re
import resource
import signal
import socket
import subprocess

from . import host
from .host import BenchError
from .workloads import Workload

# wrk hands its own totals to this function; one line of JSON is simpler to read than its report.
DONE = """
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    'TOTALS {"requests":%d,"us":%d,"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d,"p50":%d,"p99":%d}\\n',
    summary.requests, summary.duration, e.connect, e.read, e.write, e.status, e.timeout,
    latency:percentile(50), latency:percentile(99)))
end
"""


@dataclasses.dataclass(frozen=True)
class Totals:
    """What wrk counted in one run."""

    requests: int
    us: int
    connect: int
    read: int
    write: int
    status: int
    timeout: int
    p50: int
    p99: int
    # CPU time that wrk itself took.
    cpu_ns: int = 0

    @property
    def failed(self) -> int:
        return self.connect + self.read + self.write + self.status + self.timeout

    @property
    def good(self) -> int:
        return self.requests - self.status

    @property
    def rps(self) -> float:
        return self.good / (self.us / 1e6)


def parse_totals(output: str) -> Totals:
    """The line that DONE wrote."""
    found = re.search(r"^TOTALS (\{.*\})$", output, re.MULTILINE)
    if not found:
        raise BenchError(f"wrk printed no totals: {output[-400:]}")
    return Totals(**json.loads(found.group(1)))


class Wrk:
    """wrk on the load core, for one workload."""

    def __init__(self, workload: Workload, core: int, folder: pathlib.Path) -> None:
        binary = host.find("wrk")
        if binary is None:
            raise BenchError("wrk is not installed")
        self.workload, self.core, self.binary = workload, core, binary
        self.script = folder / f"{workload.name}.lua"
        self.script.write_text(workload.script() + DONE)

    def run(self, port: int, seconds: float) -> Totals:
        """One closed-loop run. wrk takes whole seconds: it is interrupted after a shorter time."""
        argv = [
            "taskset", "-c", str(self.core),
            self.binary, "-t1", f"-c{self.workload.connections}", "-d60s", "--timeout", "10s",
            "-s", str(self.script), f"http://127.0.0.1:{port}{self.workload.path}",
        ]  # fmt: skip
        before = children_ns()
        child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(seconds)
            child.send_signal(signal.SIGINT)  # wrk stops and prints its totals
            output, _ = child.communicate(timeout=30)
        finally:
            child.kill()  # nothing happens to one that has ended
        totals = parse_totals(output.decode(errors="replace"))
        return dataclasses.replace(totals, cpu_ns=children_ns() - before)


def children_ns() -> int:
    """CPU time of all children that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return int(1e9 * (usage.ru_utime + usage.ru_stime))


@dataclasses.dataclass(frozen=True)
class Answer:
    """One response."""

    status: int
    body: bytes
    headers: dict[str, str]


def ask(port: int, path: str, headers: dict[str, str], method: str = "GET", body: bytes | None = None) -> Answer:
    """One request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, body=body, headers=headers)
        response = connection.getresponse()
        data = response.read()
        return Answer(response.status, data, {name.lower(): value for name, value in response.getheaders()})
    finally:
        connection.close()


def open_idle(port: int, host_name: str, count: int) -> list[socket.socket]:
    """Keep-alive connections that have been answered once and now rest."""
    request = f"GET / HTTP/1.1\r\nHost: {host_name}\r\n\r\n".encode()
    opened = []
    for _ in range(count):
        connection = socket.create_connection(("127.0.0.1", port), timeout=10)
        connection.sendall(request)
        read_answer(connection)
        opened.append(connection)
    return opened


def read_answer(connection: socket.socket) -> int:
    """Read one response with a Content-Length to its end; its status."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += receive(connection)
    head, _, rest = data.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    if not length:
        raise BenchError(f"a response without Content-Length: {head[:200]!r}")
    missing = int(length.group(1)) - len(rest)
    while missing > 0:
        missing -= len(receive(connection))
    return int(head[9:12])


def receive(connection: socket.socket) -> bytes:
    data = connection.recv(65536)
    if not data:
        raise BenchError("the proxy closed a connection in the middle of an answer")
    return data

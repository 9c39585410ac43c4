"""Figures without noise: system calls and allocations for a request, memory at rest and for an idle connection."""

import dataclasses
import pathlib
import re
import signal
import subprocess
import time

from . import host
from .figures import Bar, beside, exact, table
from .host import BenchError
from .load import Wrk, open_idle
from .manifests import write_manifests
from .peers import Moongate, Start, fresh
from .process import Process, Running
from .workloads import BY_NAME, HOST, PLAIN

IDLE_CONNECTIONS = 1000
IO_CALLS = {
    "read", "readv", "pread64", "preadv", "recvfrom", "recvmsg", "recvmmsg",
    "write", "writev", "pwrite64", "pwritev", "sendto", "sendmsg", "sendmmsg", "sendfile", "splice",
}  # fmt: skip
POLLS = {"epoll_wait", "epoll_pwait", "epoll_pwait2"}
# Long enough that opening and closing the connections does not show.
STRACE_SECONDS = 4.0


@dataclasses.dataclass
class Calls:
    """System calls for one request, by name."""

    per_request: dict[str, float]

    @property
    def io(self) -> float:
        return sum(count for name, count in self.per_request.items() if name in IO_CALLS)

    def shown(self) -> str:
        frequent = sorted(self.per_request.items(), key=lambda item: -item[1])
        return ", ".join(f"{name} {count:.2f}" for name, count in frequent if count >= 0.005)


@dataclasses.dataclass
class Memory:
    """Memory of a fresh process, and what an idle keep-alive connection adds."""

    rss_mib: float
    pss_mib: float
    pss_with_connections_mib: float
    rss_with_connections_mib: float
    connection_kib: float


def parse_strace(summary: str) -> dict[str, int]:
    """Calls by name from the table of `strace -c`.

    >>> parse_strace("% time seconds usecs/call calls errors syscall\\n 50 0.1 3 200 7 recvfrom\\n 9.1 0.1 3 30 sendto")
    {'recvfrom': 200, 'sendto': 30}
    """
    line = re.compile(r"^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?([a-z_]\w*)$", re.MULTILINE)
    return {name: int(count) for count, name in line.findall(summary) if name != "total"}


def count_calls(process: Process, wrk: Wrk, port: int, folder: pathlib.Path) -> Calls:
    """Watch a process with strace while wrk runs; both counts span the same time."""
    strace = host.find("strace")
    if strace is None:
        raise BenchError("strace is not installed")
    summary = folder / "strace.txt"
    summary.unlink(missing_ok=True)
    wrk.run(port, 0.5)
    targets = [flag for pid in process.pids() for flag in ("-p", str(pid))]
    log = folder / "strace.log"
    with log.open("wb") as output:
        tracer = subprocess.Popen(
            [strace, "-c", "-f", "-o", str(summary), *targets], stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:
        wait_attached(tracer, process, log)
        totals = wrk.run(port, STRACE_SECONDS)
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.wait(20)
    if totals.good == 0:
        raise BenchError("no request was answered while strace watched")
    calls = parse_strace(summary.read_text())
    return Calls({name: count / totals.good for name, count in calls.items()})


def wait_attached(tracer: "subprocess.Popen[bytes]", process: Process, log: pathlib.Path) -> None:
    """Every thread of the process has a tracer."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if tracer.poll() is not None:
            raise BenchError(f"strace cannot attach: {log.read_text(errors='replace').strip()[-200:]}")
        tasks = [task for pid in process.pids() for task in pathlib.Path(f"/proc/{pid}/task").glob("*/status")]
        if all(map(is_traced, tasks)):
            return
        time.sleep(0.01)
    raise BenchError("strace did not attach within 10 s")


def is_traced(task: pathlib.Path) -> bool:
    try:
        return "TracerPid:\t0\n" not in task.read_text()
    except OSError:  # the thread has ended meanwhile
        return True


def measure_memory(process: Process, wrk: Wrk, port: int) -> Memory:
    """A process that was just started: at rest, then after some traffic with and without idle connections."""
    pss, rss = process.pss_kib(), process.rss_kib()
    # What the first requests allocate once is not the connections' doing.
    wrk.run(port, 1.0)
    before = settled_pss(process)
    connections = open_idle(port, HOST, IDLE_CONNECTIONS)
    try:
        after = settled_pss(process)
        rss_after = process.rss_kib()
    finally:
        for connection in connections:
            connection.close()
    return Memory(
        rss_mib=rss / 1024,
        pss_mib=pss / 1024,
        pss_with_connections_mib=after / 1024,
        rss_with_connections_mib=rss_after / 1024,
        connection_kib=(after - before) / IDLE_CONNECTIONS,
    )


def settled_pss(process: Process) -> int:
    """Memory once it stands still (or after two seconds)."""
    last = process.pss_kib()
    for _ in range(8):
        time.sleep(0.25)
        now = process.pss_kib()
        if abs(now - last) <= 16:
            return now
        last = now
    return last


@dataclasses.dataclass
class Counted:
    """What the test with the counting allocator says: exact, and the same on every machine."""

    allocations: float
    idle_bytes: float


def parse_counted(output: str) -> Counted | None:
    """The two lines of tests/allocations.rs.

    >>> parse_counted("allocations per proxied keep-alive request: 4.00\\nheap bytes per idle keep-alive connection: 1266")
    Counted(allocations=4.0, idle_bytes=1266.0)
    """
    found = [
        re.search(rf"^{line}: ([\d.]+)$", output, re.MULTILINE)
        for line in ("allocations per proxied keep-alive request", "heap bytes per idle keep-alive connection")
    ]
    numbers = [float(match.group(1)) for match in found if match]
    return Counted(*numbers) if len(numbers) == len(found) else None


def count_allocations() -> Counted | None:
    """Runs that test; None, with a note, where it cannot be built."""
    command = ["cargo", "test", "--locked", "--quiet", "--test", "allocations", "--", "--nocapture"]
    done = subprocess.run(command, cwd=host.ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    counted = parse_counted(done.stdout)
    if counted is None:
        host.note(f"allocations are not counted: {done.stderr.strip()[-200:]}")
    return counted


@dataclasses.dataclass
class Gate:
    """What one proxy showed."""

    memory: Memory
    calls: Calls | None = None
    counted: Counted | None = None


def run_gates(starts: dict[str, Start], backend: int, folder: pathlib.Path) -> dict[str, Gate]:
    """All proxies, one after the other; Traefik's threads make strace crawl, so it is only weighed."""
    proxy_core, load_core = host.cores()
    wrk = Wrk(BY_NAME["small"], load_core, folder)
    found = {}
    for name, start in starts.items():
        with Running() as running:
            server = start(PLAIN, backend, proxy_core)
            running.add(server.process)
            gate = Gate(measure_memory(server.process, wrk, server.port))
            if name != "traefik":
                try:
                    gate.calls = count_calls(server.process, wrk, server.port, folder)
                except BenchError as error:
                    host.note(f"system calls of {name} are not counted: {error}")
            if server.admin:
                gate.counted = count_allocations()
        found[name] = gate
    return found


def idle_with_two_workers(moongate: Moongate, backend: int) -> float:
    """MiB (Pss) of an idle Moongate with two workers and all bundled plugins."""
    folder = fresh("moongate-idle")
    write_manifests(folder / "manifests", PLAIN, backend, "", "")
    with Running() as running:
        server = moongate.start(folder / "manifests", None, workers=2)
        running.add(server.process)
        return settled_pss(server.process) / 1024


def report(gates: dict[str, Gate]) -> str:
    heads = [
        "proxy", "RSS MiB idle", "Pss MiB idle", "RSS MiB, 1,000 idle", "Pss MiB, 1,000 idle",
        "KiB/connection", "I/O calls/request",
    ]  # fmt: skip
    base = next(iter(gates.values()))
    rows = [row(name, gate, base) for name, gate in gates.items()]
    lines = ["### Memory and system calls", "", table(heads, rows), ""]
    for name, gate in gates.items():
        if gate.calls:
            lines.append(f"- {name}, system calls for a request: {gate.calls.shown()}")
        if gate.counted:
            counted = f"{gate.counted.allocations:.2f} for a request, {gate.counted.idle_bytes:.0f} bytes of heap"
            lines.append(f"- {name}, allocations: {counted} for an idle connection")
    return "\n".join(lines) + "\n"


def row(name: str, gate: Gate, base: Gate) -> list[str]:
    """A proxy's figures, each with its multiple of the first one's."""
    weights = [
        beside(getattr(gate.memory, field), getattr(base.memory, field), digits)
        for field, digits in (
            ("rss_mib", 1), ("pss_mib", 1), ("rss_with_connections_mib", 1), ("pss_with_connections_mib", 1),
            ("connection_kib", 2),
        )
    ]  # fmt: skip
    calls = f"{gate.calls.io:.2f}" if gate.calls else "-"
    return [name, *weights, calls]


def bars(gate: Gate, idle_mib: float) -> list[Bar]:
    return [
        Bar("I/O system calls per request", 4.1, exact(gate.calls.io) if gate.calls else None, "calls"),
        Bar("Pss idle, two workers, all bundled plugins", 24.0, exact(idle_mib), "MiB"),
        Bar("Pss of an idle keep-alive connection", 4.0, exact(gate.memory.connection_kib), "KiB"),
    ]

"""Interleaved runs: every proxy in turn, again and again, and the ratios of neighbours in time."""

import dataclasses
import pathlib
import statistics
import time

from . import host
from .figures import Bar, Spread, beside, table
from .host import BenchError
from .load import Totals, Wrk, ask
from .peers import Server, Start
from .process import Running, spent_ns
from .workloads import Workload

SUBJECT = "moongate"
# More failures than one in a thousand make a run worthless.
FAILED_SHARE = 0.001


@dataclasses.dataclass(frozen=True)
class Plan:
    """How long and how often."""

    pairs: int = 7
    # Rounds granted on top when noise has spoiled some.
    spare: int = 7
    seconds: float = 2.0
    warm_up: float = 1.0
    # A proxy that was not busy costs more for each request: such a run says nothing...
    busy: float = 0.7
    # ...unless the other core was: then this is the load that two cores can make.
    load_busy: float = 0.85


@dataclasses.dataclass(frozen=True)
class Sample:
    """One run of one proxy."""

    cpu_us: float
    rps: float
    p50_ms: float
    p99_ms: float
    core: float
    load_core: float
    requests: int
    failed: int

    def valid(self, plan: Plan) -> bool:
        busy = self.core >= plan.busy or self.load_core >= plan.load_busy
        return busy and self.failed <= FAILED_SHARE * self.requests


@dataclasses.dataclass
class Contender:
    """A proxy that runs, with the load that fits its configuration."""

    name: str
    server: Server
    backend: Server
    wrk: Wrk
    samples: list[Sample] = dataclasses.field(default_factory=list)

    def run(self, plan: Plan) -> Sample:
        """Warm up, then measure."""
        self.server.process.check_alive()
        self.wrk.run(self.server.port, plan.warm_up)
        backend, before = self.backend.process.cpu_ns(), self.server.process.threads_ns()
        started = time.monotonic_ns()
        totals = self.wrk.run(self.server.port, plan.seconds)
        wall = time.monotonic_ns() - started
        own = spent_ns(before, self.server.process.threads_ns())
        others = totals.cpu_ns + self.backend.process.cpu_ns() - backend
        sample = sample_of(totals, own, others, wall)
        self.samples.append(sample)
        return sample


def sample_of(totals: Totals, cpu_ns: int, load_ns: int, wall_ns: int) -> Sample:
    if totals.good <= 0:
        raise BenchError(f"no request was answered well: {totals}")
    return Sample(
        cpu_us=cpu_ns / 1e3 / totals.good,
        rps=totals.rps,
        p50_ms=totals.p50 / 1e3,
        p99_ms=totals.p99 / 1e3,
        core=cpu_ns / wall_ns,
        load_core=load_ns / wall_ns,
        requests=totals.requests,
        failed=totals.failed,
    )


@dataclasses.dataclass
class Result:
    """All runs of one workload."""

    workload: Workload
    subject: str
    samples: dict[str, list[Sample]]
    plan: Plan

    def ratio(self, peer: str) -> Spread | None:
        """The subject's CPU time for a request to a peer's, paired run by run."""
        pairs = zip(self.samples[self.subject], self.samples.get(peer, []), strict=False)
        plan = self.plan
        return Spread.of([a.cpu_us / b.cpu_us for a, b in pairs if a.valid(plan) and b.valid(plan)])

    def valid(self, name: str) -> list[Sample]:
        return [sample for sample in self.samples[name] if sample.valid(self.plan)]

    def median(self, name: str, field: str) -> float:
        """Of the valid runs, or of all if none was."""
        return float(statistics.median(getattr(sample, field) for sample in self.valid(name) or self.samples[name]))

    def cpu_us(self, name: str) -> str:
        """Median CPU time for a request; with a tilde if no run of it was valid."""
        return f"{'' if self.valid(name) else '~'}{self.median(name, 'cpu_us'):.1f}"

    def report(self) -> str:
        heads = ["proxy", "CPU us/request", "requests/s", "p50 ms", "p99 ms", "its core", "load core"]
        heads.append(f"{self.subject} / it")
        rows = [self._row(name) for name in self.samples]
        return f"### {self.workload.title}\n\n{table(heads, rows)}\n"

    def _row(self, name: str) -> list[str]:
        def against(field: str, digits: int) -> str:
            return beside(self.median(name, field), self.median(self.subject, field), digits)

        ratio = None if name == self.subject else self.ratio(name)
        cells = [
            name,
            self.cpu_us(name),
            against("rps", 0),
            against("p50_ms", 2),
            against("p99_ms", 2),
            f"{100 * self.median(name, 'core'):.0f} %",
            f"{100 * self.median(name, 'load_core'):.0f} %",
        ]
        if name == self.subject:
            return [*cells, "1"]
        return [*cells, "-" if ratio is None else f"{ratio} n={ratio.count}"]


def check_answers(workload: Workload, port: int) -> None:
    """What is measured is what is meant: the right status and body, and without credentials none."""
    headers = {name: value for name, value in workload.headers if name != "Connection"}
    headers["Host"] = workload.host()
    body = b"x" * workload.upload if workload.upload else None
    answer = ask(port, workload.path, headers, workload.method, body)
    if answer.status != 200 or len(answer.body) != workload.answer_bytes:
        raise BenchError(f"answered {answer.status} with {len(answer.body)} bytes: {answer.body[:120]!r}")
    if workload.shape.plugins:
        refused = ask(port, workload.path, {"Host": workload.host()})
        if refused.status != 401:
            raise BenchError(f"without credentials the answer is {refused.status}, not 401")


def compare(workload: Workload, starts: dict[str, Start], backend: Server, plan: Plan, folder: pathlib.Path) -> Result:
    """Start every contender, let them take turns, stop them."""
    with Running() as running:
        contenders = start_all(workload, starts, backend, folder, running)
        subject = contenders[0].name
        for number in range(plan.pairs + plan.spare):
            for contender in contenders:
                contender.run(plan)
            result = Result(workload, subject, {c.name: c.samples for c in contenders}, plan)
            done = min((spread.count if (spread := result.ratio(c.name)) else 0) for c in contenders)
            if done >= plan.pairs:
                break
            if number + 1 == plan.pairs:
                host.note(f"{workload.name}: {done} of {plan.pairs} rounds had busy cores: {plan.spare} more at most")
    return result


def start_all(
    workload: Workload, starts: dict[str, Start], backend: Server, folder: pathlib.Path, running: Running
) -> list[Contender]:
    """The contenders of a workload; one that cannot do the work is left out with a note."""
    proxy_core, load_core = host.cores()
    wanted = [(name, workload) for name in starts if name == SUBJECT or name in workload.peers]
    if workload.baseline and SUBJECT in starts:
        wanted.insert(1, (SUBJECT, workload.reshaped(workload.baseline)))
    contenders = []
    for name, work in wanted:
        label = name if work is workload else f"{name}, {work.shape.hosts} host"
        try:
            server = starts[name](work.shape, backend.port, proxy_core)
            running.add(server.process)
            check_answers(work, server.port)
            contenders.append(Contender(label, server, backend, Wrk(work, load_core, folder)))
        except BenchError as error:
            if name == SUBJECT:
                raise
            host.note(f"{workload.name}: {label} is left out: {error}")
    if not contenders:
        raise BenchError(f"{workload.name}: no proxy can do this")
    return contenders


# What is promised, by workload and peer: Moongate's CPU time for a request as a ratio to the peer's.
LIMITS = {
    ("small", "nginx"): 1.10,
    ("small", "haproxy"): 1.10,
    ("small", "traefik"): 0.30,
    ("hosts", f"{SUBJECT}, 1 host"): 1.10,
    ("hosts", "traefik"): 0.05,
    ("plugins", "nginx"): 1.10,
}


def summary(results: list[Result]) -> str:
    """One line for each workload: what the subject needs, as a ratio to each peer."""
    peers: dict[str, None] = {}
    for result in results:
        peers.update(dict.fromkeys(name for name in result.samples if name != result.subject))
    rows = []
    for result in results:
        ratios = [result.ratio(peer) for peer in peers]
        shown = [str(ratio) if ratio else "-" for ratio in ratios]
        rows.append([result.workload.title, result.cpu_us(result.subject), *shown])
    heads = ["CPU time for a request", f"{results[0].subject}, us", *(f"/ {peer}" for peer in peers)]
    return f"### Ratios\n\n{table(heads, rows)}\n"


def bars(results: list[Result]) -> list[Bar]:
    """The promises that these results can be held to."""
    found = []
    for result in results:
        if result.subject != SUBJECT:
            continue
        for (workload, peer), limit in LIMITS.items():
            if workload == result.workload.name:
                found.append(Bar(f"{workload}, CPU per request / {peer}", limit, result.ratio(peer)))
    return found

"""Ten thousand Ingresses from a folder: the CPU time to load them, and to change one of them."""

import dataclasses
import json
import statistics
import time

from . import host
from .figures import Bar, Spread, exact
from .host import BenchError
from .load import ask
from .manifests import ingress, write_manifests
from .peers import Moongate, Server, fresh
from .process import Running
from .reloads import Editor
from .workloads import MANY_HOSTS, Shape

CHANGES = 9
LIVE_SECONDS = 30.0
POLL_SECONDS = 0.005
# Time for what follows a change (dropping the old generation) to be counted with it.
SETTLE_SECONDS = 0.3


@dataclasses.dataclass
class Outcome:
    """What loading and changing cost."""

    load_cpu_s: float
    load_wall_s: float
    pss_mib: float
    change_cpu_ms: list[float]
    change_wall_ms: list[float]

    def bars(self) -> list[Bar]:
        return [
            Bar("10,000 Ingresses: CPU to load", 2.0, exact(self.load_cpu_s), "s"),
            Bar("10,000 Ingresses: CPU to change one", 20.0, Spread.of(self.change_cpu_ms), "ms"),
        ]

    def report(self) -> str:
        return "\n".join([
            f"### {MANY_HOSTS:,} Ingresses from a folder",
            "",
            f"- ready after {self.load_wall_s:.2f} s, {self.load_cpu_s:.2f} s of CPU; Pss {self.pss_mib:.1f} MiB",
            f"- changing one: {Spread.of(self.change_cpu_ms)} ms of CPU, "
            f"live after {statistics.median(self.change_wall_ms):.0f} ms",
            "",
        ])  # fmt: skip


def generation(server: Server) -> int:
    assert server.admin
    return int(json.loads(ask(server.admin, "/health", {}).body)["generation"])


def run_scale(moongate: Moongate, backend: int) -> Outcome:
    proxy_core, _ = host.cores()
    shape = Shape(hosts=MANY_HOSTS)
    folder = fresh("moongate-scale")
    write_manifests(folder / "manifests", shape, backend, "", "")
    with Running() as running:
        started = time.monotonic()
        server = moongate.start(folder / "manifests", proxy_core)
        running.add(server.process)
        load_wall = time.monotonic() - started
        load_cpu = server.process.cpu_ns() / 1e9
        time.sleep(1.0)
        pss = server.process.pss_kib() / 1024
        editor = Editor(folder, server)
        changes = [change_one(editor, server, shape.names()[number], number) for number in range(CHANGES)]
    return Outcome(load_cpu, load_wall, pss, [cpu for cpu, _ in changes], [wall for _, wall in changes])


def change_one(editor: Editor, server: Server, old: str, number: int) -> tuple[float, float]:
    """Give one Ingress another host; CPU and wall milliseconds until it is live, the polls' own CPU taken off."""
    new = f"changed-{number}.test"
    before = generation(server)
    poll_ms = cost_of_a_poll(server)
    cpu, started, polls = server.process.cpu_ns(), time.monotonic(), 0
    text = ingress(f"app-{number:05}", new, "/", "app", {})
    editor.write(editor.folder / "manifests" / f"ingress-{number:05}.yaml", text)
    while generation(server) == before:
        polls += 1
        if time.monotonic() - started > LIVE_SECONDS:
            raise BenchError(f"a changed Ingress was not live within {LIVE_SECONDS:.0f} s: {editor.problems()}")
        time.sleep(POLL_SECONDS)
    wall = 1000 * (time.monotonic() - started)
    time.sleep(SETTLE_SECONDS)
    spent = (server.process.cpu_ns() - cpu) / 1e6 - (polls + 1) * poll_ms
    for name, status in ((new, 200), (old, 404)):
        if (answer := ask(server.port, "/", {"Host": name})).status != status:
            raise BenchError(f"after the change {name} answers {answer.status}, not {status}")
    return max(spent, 0.0), wall


def cost_of_a_poll(server: Server, polls: int = 20) -> float:
    """CPU milliseconds that one look at /health takes."""
    before = server.process.cpu_ns()
    for _ in range(polls):
        generation(server)
        time.sleep(POLL_SECONDS)
    return (server.process.cpu_ns() - before) / 1e6 / polls

"""A process pinned to one core, with what it costs: CPU time of all its threads and children, memory."""

import contextlib
import dataclasses
import http.client
import os
import pathlib
import resource
import signal
import subprocess
import time
from collections.abc import Callable

from .host import BenchError

STOP_SECONDS = 10.0
START_SECONDS = 60.0


@dataclasses.dataclass
class Process:
    """Something this driver started; only such processes are ever signalled."""

    name: str
    child: subprocess.Popen[bytes]
    log: pathlib.Path

    @classmethod
    def start(
        cls, name: str, argv: list[str], core: int | None, folder: pathlib.Path, env: dict[str, str] | None = None
    ) -> "Process":
        """Start pinned to a core, in this session (a session of its own would be an autogroup of its own)."""

        def prepare() -> None:
            if core is not None:
                os.sched_setaffinity(0, {core})
            os.setpgid(0, 0)
            hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

        folder.mkdir(parents=True, exist_ok=True)
        log = folder / f"{name}.log"
        with log.open("wb") as output:
            child = subprocess.Popen(
                argv,
                cwd=folder,
                env=os.environ | (env or {}),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                preexec_fn=prepare,
            )
        return cls(name, child, log)

    def pids(self) -> list[int]:
        """The process and all its descendants."""
        found, waiting = [], [self.child.pid]
        while waiting:
            pid = waiting.pop()
            found.append(pid)
            for children in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
                with contextlib.suppress(OSError):
                    waiting.extend(map(int, children.read_text().split()))
        return found

    def threads_ns(self) -> dict[str, int]:
        """On-CPU nanoseconds by thread."""
        spent = {}
        for pid in self.pids():
            for path in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat"):
                with contextlib.suppress(OSError):
                    spent[path.parent.name] = int(path.read_text().split()[0])
        return spent

    def cpu_ns(self) -> int:
        """On-CPU nanoseconds of all threads that live now."""
        return sum(self.threads_ns().values())

    def pss_kib(self) -> int:
        """Proportional set size: memory with shared pages divided among their users."""
        return sum(self._smaps(pid, "Pss:") for pid in self.pids())

    def rss_kib(self) -> int:
        """Resident set size; pages that several processes share count for each."""
        return sum(self._smaps(pid, "Rss:") for pid in self.pids())

    @staticmethod
    def _smaps(pid: int, field: str) -> int:
        with contextlib.suppress(OSError):
            for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith(field):
                    return int(line.split()[1])
        return 0

    def check_alive(self) -> None:
        if (code := self.child.poll()) is not None:
            raise BenchError(f"{self.name} ended with exit code {code}: {self.tail()}")

    def tail(self) -> str:
        """The end of its own output."""
        return " | ".join(self.log.read_text(errors="replace").splitlines()[-6:])[-1200:]

    def wait_until(self, ready: Callable[[], bool], what: str, seconds: float = START_SECONDS) -> None:
        """Poll until something holds; a process that ends first or takes too long is stopped, and an error."""
        try:
            self._poll(ready, what, time.monotonic() + seconds)
        except BaseException:
            self.stop()
            raise

    def _poll(self, ready: Callable[[], bool], what: str, deadline: float) -> None:
        while True:
            self.check_alive()
            with contextlib.suppress(OSError, http.client.HTTPException):
                if ready():
                    return
            if time.monotonic() > deadline:
                raise BenchError(f"{self.name} is not {what} in time: {self.tail()}")
            time.sleep(0.01)

    def stop(self) -> int | None:
        """SIGTERM; after a while SIGKILL for what is left of its group. The exit code."""
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
        try:
            return self.child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.child.pid, signal.SIGKILL)
            return self.child.wait()


class Running(contextlib.ExitStack):
    """Processes that end when the block ends, in reverse order."""

    def add(self, process: Process) -> Process:
        self.callback(process.stop)
        return process


def spent_ns(before: dict[str, int], after: dict[str, int]) -> int:
    """CPU time between two readings; threads that came in between count whole."""
    return sum(now - before.get(thread, 0) for thread, now in after.items())

"""The work: what clients send, and what shape of configuration the proxy has for it."""

import base64
import dataclasses

HOST = "app.test"
USER, PASSWORD = "bench", "moon"
AUTHORIZATION = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
UPLOAD = 1 << 20
SMALL = 1 << 10
BIG = 100 << 10
MANY_HOSTS = 10_000
MANY_PATTERN = f"h%05d.{HOST}"


@dataclasses.dataclass(frozen=True)
class Shape:
    """What a proxy is configured for: how many host rules, and whether the three plugins act."""

    hosts: int = 1
    plugins: bool = False

    def names(self) -> list[str]:
        """Host names that are routed."""
        return [HOST] if self.hosts == 1 else [MANY_PATTERN % number for number in range(self.hosts)]

    @property
    def name(self) -> str:
        return "plugins" if self.plugins else f"hosts-{self.hosts}"


PLAIN = Shape()


@dataclasses.dataclass(frozen=True)
class Workload:
    """What clients send."""

    name: str
    title: str
    shape: Shape = PLAIN
    path: str = "/"
    connections: int = 50
    method: str = "GET"
    upload: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    answer_bytes: int = SMALL
    # Each request picks its host from a list, also where the list has one entry.
    picks_host: bool = False
    # Moongate is also measured with this shape, as a peer of itself.
    baseline: Shape | None = None
    peers: tuple[str, ...] = ("nginx", "haproxy", "traefik")

    def host(self) -> str:
        """One of the hosts that are asked for."""
        return self.shape.names()[-1]

    def script(self) -> str:
        """The part of wrk's script that makes requests."""
        lines = [f'wrk.method = "{self.method}"']
        if self.upload:
            lines.append(f'wrk.body = string.rep("x", {self.upload})')
        for name, value in (*self.headers, ("Host", self.host())):
            lines.append(f'wrk.headers["{name}"] = "{value}"')
        if self.picks_host:
            pattern = HOST if self.shape.hosts == 1 else MANY_PATTERN
            lines.append(RANDOM_HOST % {"count": self.shape.hosts, "pattern": pattern})
        return "\n".join(lines) + "\n"

    def reshaped(self, shape: Shape) -> "Workload":
        """The same work against another configuration."""
        return dataclasses.replace(self, name=f"{self.name}-{shape.name}", shape=shape, baseline=None)


# Requests are made once; picking one is all that a request costs the load generator.
RANDOM_HOST = """
local requests = {}
function init(args)
  math.randomseed(7)
  for number = 0, %(count)d - 1 do
    wrk.headers["Host"] = string.format("%(pattern)s", number)
    requests[number + 1] = wrk.format()
  end
end
function request()
  return requests[math.random(#requests)]
end
"""

WORKLOADS = (
    Workload("small", "1 KiB GET, 50 keep-alive connections"),
    Workload("big", "100 KiB response", path="/big", answer_bytes=BIG),
    Workload("upload", "1 MiB upload", path="/sink", method="POST", upload=UPLOAD, connections=16, answer_bytes=5),
    Workload("connect", "new connection per request", headers=(("Connection", "close"),)),
    Workload("hosts", "10,000 host rules, random host", shape=Shape(hosts=MANY_HOSTS), picks_host=True, baseline=PLAIN),
    Workload(
        "plugins",
        "three Lua plugins: strip, whitelist, basic auth",
        shape=Shape(plugins=True),
        path="/app/",
        headers=(("Authorization", AUTHORIZATION),),
        peers=("nginx",),
    ),
)
BY_NAME = {workload.name: workload for workload in WORKLOADS}

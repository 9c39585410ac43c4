"""The proxies, each configured by its own manual for the same work: one worker, keep-alive to the backend,
X-Forwarded-For and -Proto added, access log off, bodies streamed."""

import base64
import dataclasses
import hashlib
import json
import os
import pathlib
import shutil
from collections.abc import Callable

from . import host
from .load import ask
from .manifests import write_manifests
from .process import Process
from .workloads import BIG, PASSWORD, SMALL, USER, Shape

# USER's password as a line of a user file, the way `htpasswd -s` writes it; the same for every proxy.
PASSWORD_HASH = "{SHA}" + base64.b64encode(hashlib.sha1(PASSWORD.encode()).digest()).decode()


@dataclasses.dataclass
class Server:
    """A proxy (or the backend) that runs and answers."""

    process: Process
    port: int
    admin: int | None = None


def nginx_head(folder: pathlib.Path, lua: bool) -> str:
    """The part that every nginx here has in common."""
    modules = f"load_module {host.NGINX_MODULES}/ndk_http_module.so;\nload_module {host.LUA_MODULE};\n" if lua else ""
    user = "user root;\n" if os.geteuid() == 0 else ""
    paths = "\n".join(
        f"  {kind}_temp_path {folder}/{kind}_temp;" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return f"""{modules}{user}daemon off;
worker_processes 1;
worker_rlimit_nofile 20000;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 10000; }}
http {{
  access_log off;
  tcp_nodelay on;
  keepalive_requests 1000000000;
{paths}
"""


def start_nginx(name: str, config: str, folder: pathlib.Path, core: int, port: int) -> Server:
    path = folder / "nginx.conf"
    path.write_text(config)
    argv = [host.find("nginx") or "nginx", "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(path)]
    return listening(Process.start(name, argv, core, folder), port)


def listening(process: Process, port: int) -> Server:
    """Wait until a proxy answers anything at all."""
    process.wait_until(lambda: ask(port, "/", {"Host": "ready.test"}).status > 0, "answering")
    return Server(process, port)


def start_backend(core: int) -> Server:
    """nginx with a constant of 1 KiB, a file of 100 KiB, and (with its Lua module) a sink that reads all of a body.

    `return` alone would answer an upload before it was read, and proxies then close the connection.
    """
    folder = fresh("backend")
    port = host.free_port()
    (folder / "big").write_bytes(b"b" * BIG)
    lua = host.LUA_MODULE.exists()
    sink = "content_by_lua_block { ngx.req.read_body() ngx.print('done\\n') }" if lua else "return 501;"
    config = f"""{nginx_head(folder, lua)}
  sendfile on;
  default_type text/plain;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{ return 200 "{"s" * SMALL}"; }}
    location = /big {{ root {folder}; }}
    location = /sink {{ client_max_body_size 0; client_body_buffer_size 2m; {sink} }}
  }}
}}
"""
    return start_nginx("backend", config, folder, core, port)


def fresh(name: str) -> pathlib.Path:
    """An empty folder below the scratch folder."""
    folder = host.scratch() / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


# --- nginx -----------------------------------------------------------------------------------------------------------

# The work of Moongate's three plugins, written as an OpenResty user would: everything that can be is made once, and
# a password that was right is remembered, keyed by the header.
LUA_INIT = """
  lua_shared_dict verified 1m;
  init_by_lua_block {
    local function parse(text)
      local a, b, c, d, bits = text:match("^(%%d+)%%.(%%d+)%%.(%%d+)%%.(%%d+)/(%%d+)$")
      local mask = bit.lshift(-1, 32 - tonumber(bits))
      local address = bit.bor(bit.lshift(a, 24), bit.lshift(b, 16), bit.lshift(c, 8), d)
      return { mask = mask, network = bit.band(address, mask) }
    end
    allowed = { parse("127.0.0.0/8") }
    users = { ["%(user)s"] = "%(hash)s" }
    function ip_allowed(packed)
      local a, b, c, d = packed:byte(1, 4)
      local address = bit.bor(bit.lshift(a, 24), bit.lshift(b, 16), bit.lshift(c, 8), d)
      for _, range in ipairs(allowed) do
        if bit.band(address, range.mask) == range.network then return true end
      end
      return false
    end
    function verify(header)
      local encoded = header:match("^[Bb]asic +(.+)$")
      local decoded = encoded and ngx.decode_base64(encoded)
      local user, password = (decoded or ""):match("^([^:]*):(.*)$")
      local known = user and users[user]
      return known and known == "{SHA}" .. ngx.encode_base64(ngx.sha1_bin(password)) and user or nil
    end
  }
"""
LUA_LOCATION = """
    location /app {
      rewrite_by_lua_block {
        local prefix = "/app"
        local uri = ngx.var.uri
        local next_byte = uri:byte(#prefix + 1)
        if next_byte ~= nil and next_byte ~= 47 then return ngx.exit(404) end
        ngx.req.set_header("X-Forwarded-Prefix", prefix)
        ngx.req.set_uri(next_byte and uri:sub(#prefix + 1) or "/", false)
      }
      access_by_lua_block {
        if not ip_allowed(ngx.var.binary_remote_addr) then return ngx.exit(403) end
        local header = ngx.var.http_authorization
        if not header then
          ngx.header["WWW-Authenticate"] = 'Basic realm="bench"'
          return ngx.exit(401)
        end
        local verified = ngx.shared.verified
        if not verified:get(header) then
          local user = verify(header)
          if not user then
            ngx.header["WWW-Authenticate"] = 'Basic realm="bench"'
            return ngx.exit(401)
          end
          verified:set(header, user, 60)
        end
      }
      proxy_pass http://app;
    }
"""


def nginx(shape: Shape, backend: int, core: int) -> Server:
    folder = fresh(f"nginx-{shape.name}")
    port = host.free_port()
    location = LUA_LOCATION if shape.plugins else "    location / { proxy_pass http://app; }\n"
    servers = "".join(
        # A socket's options may stand in one server only.
        f"  server {{\n    listen 127.0.0.1:{port}{'' if number else ' backlog=4096'};\n"
        f"    server_name {name};\n{location}  }}\n"
        for number, name in enumerate(shape.names())
    )
    init = LUA_INIT % {"user": USER, "hash": PASSWORD_HASH} if shape.plugins else ""
    config = f"""{nginx_head(folder, shape.plugins)}{init}
  server_names_hash_max_size 65536;
  server_names_hash_bucket_size 64;
  client_max_body_size 0;
  upstream app {{ server 127.0.0.1:{backend}; keepalive 64; keepalive_requests 1000000000; }}
  proxy_http_version 1.1;
  proxy_request_buffering off;
  client_body_buffer_size 64k;
  proxy_buffer_size 16k;
  proxy_buffers 16 16k;
  proxy_max_temp_file_size 0;
  proxy_set_header Connection "";
  proxy_set_header Host $host;
  proxy_set_header X-Forwarded-For $remote_addr;
  proxy_set_header X-Forwarded-Proto $scheme;
{servers}}}
"""
    return start_nginx("nginx", config, folder, core, port)


# --- HAProxy ---------------------------------------------------------------------------------------------------------


def haproxy(shape: Shape, backend: int, core: int) -> Server:
    """Hosts are looked up in a map and share one backend: with a backend each, connections would not be reused."""
    folder = fresh(f"haproxy-{shape.name}")
    port = host.free_port()
    hosts = folder / "hosts.map"
    hosts.write_text("".join(f"{name} app\n" for name in shape.names()))
    config = folder / "haproxy.cfg"
    config.write_text(f"""global
  nbthread 1
  maxconn 4000
defaults
  mode http
  timeout connect 5s
  timeout client 75s
  timeout server 60s
  timeout http-keep-alive 75s
  option forwardfor
  http-reuse always
frontend in
  bind 127.0.0.1:{port} backlog 4096
  http-request set-header X-Forwarded-Proto http
  use_backend %[req.hdr(host),lower,map({hosts})]
backend app
  server one 127.0.0.1:{backend}
""")
    argv = [host.find("haproxy") or "haproxy", "-db", "-f", str(config)]
    return listening(Process.start("haproxy", argv, core, folder), port)


# --- Traefik ---------------------------------------------------------------------------------------------------------


def traefik(shape: Shape, backend: int, core: int) -> Server:
    folder = fresh(f"traefik-{shape.name}")
    port = host.free_port()
    routers = {
        f"r{number}": {"rule": f"Host(`{name}`) && PathPrefix(`/`)", "service": "app", "entryPoints": ["http"]}
        for number, name in enumerate(shape.names())
    }
    services = {"app": {"loadBalancer": {"servers": [{"url": f"http://127.0.0.1:{backend}"}]}}}
    dynamic = folder / "dynamic.yml"
    # JSON is YAML.
    dynamic.write_text(json.dumps({"http": {"routers": routers, "services": services}}))
    argv = [
        host.traefik() or "traefik",
        f"--entryPoints.http.address=127.0.0.1:{port}",
        f"--providers.file.filename={dynamic}",
        "--global.checkNewVersion=false",
        "--global.sendAnonymousUsage=false",
        "--log.level=ERROR",
    ]
    # One processor is what it has: with more, its collector's threads fight for the one core.
    process = Process.start("traefik", argv, core, folder, {"GOMAXPROCS": "1"})
    name = shape.names()[-1]
    process.wait_until(lambda: ask(port, "/", {"Host": name}).status == 200, "routing")
    return Server(process, port)


# --- Moongate --------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Moongate:
    """The proxy under test."""

    binary: str

    def start(self, manifests: pathlib.Path, core: int | None, *flags: str, workers: int = 1) -> Server:
        """Serve a folder of manifests; ready when `/ping` says so."""
        port, admin = host.free_port(), host.free_port()
        argv = [
            self.binary, "serve", "--manifests", str(manifests),
            "--entrypoint", f"http=127.0.0.1:{port}", "--admin", f"127.0.0.1:{admin}",
            "--workers", str(workers), "--access-log", "off", *flags,
        ]  # fmt: skip
        process = Process.start("moongate", argv, core, manifests.parent)
        process.wait_until(lambda: ask(admin, "/ping", {}).status == 200, "ready (/ping)")
        return Server(process, port, admin)

    def __call__(self, shape: Shape, backend: int, core: int) -> Server:
        folder = fresh(f"moongate-{shape.name}")
        manifests = folder / "manifests"
        write_manifests(manifests, shape, backend, USER, PASSWORD_HASH)
        return self.start(manifests, core)


Start = Callable[[Shape, int, int], Server]


def available(moongate: str | None, wanted: list[str] | None = None) -> dict[str, Start]:
    """Moongate and the peers that this machine has (only the wanted ones); a note for each that it has not."""
    found: dict[str, Start] = {}
    if moongate:
        found["moongate"] = Moongate(moongate)
    for name, start in (("nginx", nginx), ("haproxy", haproxy), ("traefik", traefik)):
        if wanted is not None and name not in wanted:
            continue
        if host.traefik() if name == "traefik" else host.find(name):
            found[name] = start
        else:
            host.note(f"skipped: {name} is not installed and could not be")
    return found

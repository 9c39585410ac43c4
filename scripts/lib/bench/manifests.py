"""Kubernetes manifests for Moongate."""

import json
import pathlib

from .workloads import HOST, Shape

# What turns the route of the shape `plugins` into three plugins at work.
PLUGIN_ANNOTATIONS = {
    "traefik.frontend.rule.type": "PathPrefixStrip",
    "ingress.kubernetes.io/whitelist-source-range": "127.0.0.0/8",
    "ingress.kubernetes.io/auth-type": "basic",
    "ingress.kubernetes.io/auth-secret": "users",
}


def write_manifests(folder: pathlib.Path, shape: Shape, backend: int, user: str, password_hash: str) -> None:
    """A Service, its endpoint, a user file, and one Ingress for each host, one file each."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "service.yaml").write_text(service("app", backend))
    if shape.plugins:
        (folder / "users.yaml").write_text(secret("users", f"{user}:{password_hash}\n"))
    for number, name in enumerate(shape.names()):
        path, annotations = ("/app", PLUGIN_ANNOTATIONS) if shape.plugins else ("/", {})
        text = ingress(f"app-{number:05}", name, path, "app", annotations)
        (folder / f"ingress-{number:05}.yaml").write_text(text)


def service(name: str, port: int) -> str:
    """A Service with one endpoint on loopback."""
    return f"""apiVersion: v1
kind: Service
metadata: {{ name: {name}, namespace: default }}
spec:
  ports: [{{ name: http, port: 80, targetPort: {port} }}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: {name}-1
  namespace: default
  labels: {{ kubernetes.io/service-name: {name} }}
addressType: IPv4
ports: [{{ name: http, port: {port}, protocol: TCP }}]
endpoints: [{{ addresses: [127.0.0.1], conditions: {{ ready: true }} }}]
"""


def secret(name: str, users: str) -> str:
    return f"""apiVersion: v1
kind: Secret
metadata: {{ name: {name}, namespace: default }}
type: Opaque
stringData:
  auth: {json.dumps(users)}
"""


def ingress(name: str, host: str, path: str, backend: str, annotations: dict[str, str]) -> str:
    """An Ingress with one rule."""
    block = "".join(f"    {key}: {json.dumps(value)}\n" for key, value in annotations.items())
    if block:
        block = f"  annotations:\n{block}"
    return f"""apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: {name}
  namespace: default
{block}spec:
  rules:
    - host: {host}
      http:
        paths:
          - path: {path}
            pathType: Prefix
            backend: {{ service: {{ name: {backend}, port: {{ number: 80 }} }} }}
"""


def first_host(shape: Shape) -> str:
    """The host of the Ingress that experiments change."""
    return HOST if shape.hosts == 1 else shape.names()[0]

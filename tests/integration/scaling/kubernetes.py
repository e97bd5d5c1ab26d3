"""The part of a Kubernetes API server that scaling meets.

`/scale` with its versions, dry runs and errors, and HPAs.
"""

import json
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

_SCALE = re.compile(r"/apis/apps/v1/namespaces/default/deployments/([\w-]+)/scale")
_HPAS = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers"


class KubernetesApi:
    """Deployments by name with their replicas and version; each answer can be spoilt once."""

    def __init__(self) -> None:
        """Begin with one Deployment of two replicas."""
        self.replicas, self.version = {"realtime-us-west": 2}, 7
        self.hpas: list[str] = []
        self.tokens: set[str] = set()
        self._next = 0
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        Thread(target=self.server.serve_forever, daemon=True).start()

    def answer_next(self, status: int) -> None:
        """Refuse the next change with a status."""
        self._next = status

    def give_hpa(self, deployment: str) -> None:
        """Have an HPA own a Deployment."""
        self.hpas.append(deployment)

    def close(self) -> None:
        """End it."""
        self.server.shutdown()
        self.server.server_close()

    def answer(self, method: str, url: str, body: Any) -> tuple[int, dict[str, Any]]:  # noqa: PLR0911 - a protocol
        """Return status and object for a request, as an API server does."""
        path, query = urlsplit(url).path, parse_qs(urlsplit(url).query)
        if path == _HPAS:
            return 200, {"kind": "HorizontalPodAutoscalerList", "items": [_hpa(name) for name in self.hpas]}
        found = _SCALE.fullmatch(path)
        if not found or found[1] not in self.replicas:
            return _status(404, "NotFound")
        if method == "GET":
            return 200, self._scale(found[1], self.replicas[found[1]])
        if self._next:
            status, self._next = self._next, 0
            return _status(status, {409: "Conflict", 403: "Forbidden"}[status])
        wanted = body["spec"]["replicas"]
        if body.get("metadata", {}).get("resourceVersion", str(self.version)) != str(self.version):
            return _status(409, "Conflict")
        if wanted < 0:
            return _status(422, "Invalid")
        if query.get("dryRun") != ["All"]:
            self.replicas[found[1]], self.version = wanted, self.version + 1
        return 200, self._scale(found[1], wanted)

    def _scale(self, name: str, replicas: int) -> dict[str, Any]:
        metadata = {"name": name, "namespace": "default", "resourceVersion": str(self.version)}
        status = {"replicas": replicas}
        return {
            "kind": "Scale",
            "apiVersion": "autoscaling/v1",
            "metadata": metadata,
            "spec": status,
            "status": status,
        }

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                api.tokens.add(self.headers.get("Authorization", ""))
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, facts = api.answer(self.command, self.path, json.loads(body) if body else None)
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(json.dumps(facts).encode())

            do_PATCH = do_GET  # noqa: N815 - the standard library's name

            def log_message(self, *_words: object) -> None:
                pass

        return Handler


def _hpa(deployment: str) -> dict[str, Any]:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": deployment}
    return {"metadata": {"name": "crowd"}, "spec": {"scaleTargetRef": target, "maxReplicas": 9}}


def _status(code: int, reason: str) -> tuple[int, dict[str, Any]]:
    return code, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": code}

"""A proxy that makes requests to a server fail, in an order that a seed decides."""

import http.client
import random
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

Fault = Literal["none", "refused", "unavailable", "failed", "broken", "lost", "twice"]

FAULTS: tuple[Fault, ...] = ("refused", "unavailable", "failed", "broken", "lost", "twice")


class FaultyProxy:
    """Proxy that makes a share of all requests fail, and forwards the others.

    Requests that are `refused` (400), `unavailable` (503) or `failed` (500) do not reach the server; `broken` closes
    the connection instead. The server's answer to a `lost` request is dropped, and a request is sent `twice`.
    """

    def __init__(self, port: int, share: float, seed: int) -> None:
        self.counts: dict[Fault, int] = dict.fromkeys((*FAULTS, "none"), 0)
        self._port = port
        self._share = share
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                proxy.handle(self)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = answer  # noqa: N815  # http.server's names

            def log_message(self, *_arguments: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def handle(self, request: BaseHTTPRequestHandler) -> None:
        """Forward a request, or make it fail."""
        body = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        with self._lock:
            fault: Fault = self._random.choice(FAULTS) if self._random.random() < self._share else "none"
            self.counts[fault] += 1
        codes = {"refused": 400, "unavailable": 503, "failed": 500}
        if fault in codes:
            self._answer(request, codes[fault], {"Content-Type": "application/json"}, b"{}")
            return
        for _ in range({"broken": 0, "twice": 2}.get(fault, 1)):
            answer = self._forward(request, body)
        if fault in ("broken", "lost"):
            request.close_connection = True
        else:
            self._answer(request, *answer)

    def _forward(self, request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        headers = {name: value for name, value in request.headers.items() if name.lower() != "connection"}
        connection.request(request.command, request.path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, {"Content-Type": answer.headers.get("Content-Type", "")}, content

    def _answer(self, request: BaseHTTPRequestHandler, status: int, headers: dict[str, str], content: bytes) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(content)

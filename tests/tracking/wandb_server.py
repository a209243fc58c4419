"""A W&B server that knows just enough for a run to start, and whose network can be lost."""

import http.server
import json
import threading

_BUCKET = {
    "id": "QnVja2V0",
    "name": "run",
    "displayName": "run",
    "description": None,
    "config": "{}",
    "sweepName": None,
    "project": {"id": "UHJvamVjdA==", "name": "wsreid", "entity": {"id": "RW50aXR5", "name": "team"}},
    "historyLineCount": 0,
}
_ANSWERS = {
    "UpsertBucket": {"upsertBucket": {"bucket": _BUCKET, "inserted": True}},
    "CreateRunFiles": {"createRunFiles": {"runID": "run", "uploadHeaders": [], "files": []}},
}


class FakeServer:
    """Listens on a free port of this machine.

    Attributes:
        asked: Names of the operations that were asked for.
        sent: What runs have sent of their files, as text.
    """

    def __init__(self):
        self.asked, self.sent = [], []
        self._lost, self._over = threading.Event(), threading.Event()
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                if server._lost.is_set():
                    server._over.wait()  # no answer, as if packets were lost
                    self.close_connection = True
                    return
                name = json.loads(body).get("operationName", "") if self.path == "/graphql" else self.path
                server.asked.append(name)
                if "file_stream" in self.path:
                    server.sent.append(body.decode())
                answer = json.dumps({"data": _ANSWERS.get(name, {})}).encode()
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_PUT = do_POST  # noqa: N815

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self._server.server_port}"

    def lose(self):
        """From now on there is no answer."""
        self._lost.set()

    def close(self):
        self._over.set()
        self._server.shutdown()
        self._server.server_close()

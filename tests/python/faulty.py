"""A proxy between a client and a store that fails as stores and networks do, at moments of chance."""

import collections
import http.client
import http.server
import random
import threading
import time


class FaultyProxy:
    """Passes requests on to a store. A share of them fail, each in a way that its kind can.

    lost     it is carried out, and the connection ends without the answer
    late     the client gives up waiting, and then it is carried out
    stalled  the client gives up waiting, and nothing happens
    refused  it is answered with 500 or 503, and nothing happens
    undone   it is answered with 500, though it was carried out
    conflict a conditional write is answered with 409, and nothing happens: S3 does so when two meet
    """

    ANY = ("lost", "refused", "undone")
    # They take as long as the client waits: few are enough.
    SLOW = ("late", "stalled")
    CONDITIONAL = ("lost", "undone", "conflict") * 2

    def __init__(self, store, patience, seed):
        self.store = store
        self.patience = patience
        self.chance = random.Random(seed)
        self.lock = threading.Lock()
        self.done = collections.Counter()
        self.left = {}
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self):
                try:
                    super().handle_one_request()
                except OSError:
                    # The client gave up.
                    self.close_connection = True

            def pass_on(self):
                proxy.serve(self)

            do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = pass_on

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *how):
        self.server.shutdown()
        self.server.server_close()

    def draw(self, kind, ways):
        """The next of some ways, each as often as the others, in an order of chance."""
        if not self.left.get(kind):
            self.left[kind] = list(ways)
            self.chance.shuffle(self.left[kind])
        return self.left[kind].pop()

    def fault(self, conditional):
        with self.lock:
            drawn = self.chance.random()
            if conditional:
                fault = self.draw("conditional", self.CONDITIONAL + self.SLOW) if drawn < 0.3 else None
            elif drawn < 0.003:
                fault = self.draw("slow", self.SLOW)
            else:
                fault = self.draw("any", self.ANY) if drawn < 0.04 else None
            self.done[fault and (fault, "conditional" if conditional else "any")] += 1
        return fault

    def carry_out(self, request, body):
        connection = http.client.HTTPConnection(*self.store, timeout=60)
        try:
            connection.putrequest(request.command, request.path, skip_host=True, skip_accept_encoding=True)
            for name, value in request.headers.items():
                connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            connection.close()

    def serve(self, request):
        body = request.rfile.read(int(request.headers.get("content-length", 0)))
        fault = self.fault(request.command == "PUT" and request.headers.get("if-none-match") == "*")
        if fault in self.SLOW:
            time.sleep(2 * self.patience)
        answer = None
        if fault in (None, "lost", "late", "undone"):
            answer = self.carry_out(request, body)
        if fault in ("lost", "late", "stalled"):
            request.close_connection = True
        elif fault == "conflict":
            reply(request, 409, [], b"<Error><Code>ConditionalRequestConflict</Code></Error>")
        elif fault in ("refused", "undone"):
            reply(request, 503 if fault == "refused" else 500, [], b"<Error><Code>InternalError</Code></Error>")
        else:
            reply(request, *answer)


# Of one connection, and not of the answer.
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "date", "server"}


def reply(request, status, headers, body):
    request.send_response(status)
    length = None
    for name, value in headers:
        if name.lower() == "content-length":
            length = value
        elif name.lower() not in HOP_BY_HOP:
            request.send_header(name, value)
    # The answer to HEAD names the length of what it does not hold.
    request.send_header("Content-Length", length if request.command == "HEAD" and length else str(len(body)))
    request.end_headers()
    if request.command != "HEAD":
        request.wfile.write(body)

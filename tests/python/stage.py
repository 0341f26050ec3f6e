"""A small lake made by the real command, its truth, and a server over it."""

import collections
import contextlib
import json
import os
import pathlib
import subprocess

# A response whose request was never seen: it is parked. The answer that follows it waits in the same row.
WAITING = {
    "eventId": "waiting-1",
    "recordedAt": "2026-03-01T12:00:00Z",
    "correlation": {
        "userId": "90-B3-D5-1F-30-02-00-00",
        "requestId": "90-B3-D5-1F-30-02-00-00:02-1D-10-00-00-00-00-E0:5",
    },
    "responseSent": {
        "responseId": "02-1D-10-00-00-00-00-E0:90-B3-D5-1F-30-02-00-00:5",
        "responseCode": "I0",
        "at": "2026-03-01T12:00:00Z",
    },
}

WAITING_TOO = WAITING | {
    "eventId": "waiting-2",
    "responseSent": WAITING["responseSent"] | {"at": "2026-03-01T12:30:00Z"},
}
# Read last, after every file that is in order.
BAD_FILE = "events/zz-bad.jsonl"


class Stage:
    def __init__(self, binary, folder):
        self.binary = binary
        self.folder = pathlib.Path(folder)
        self.lake = self.folder / "lake"

    def path(self, name):
        return str(self.folder / name)

    def write_secret(self, name, content):
        """A file that only its owner can read, as keys must be."""
        path = pathlib.Path(self.path(name))
        path.touch(mode=0o600)
        path.write_bytes(content)

    def run(self, *arguments):
        """The standard output of a command that must succeed."""
        return subprocess.run(
            [self.binary, *map(str, arguments)], check=True, stdout=subprocess.PIPE, text=True
        ).stdout

    def __enter__(self):
        self.run(
            "generate", "--out", self.path("events"), "--events", 20_000, "--days", 40, "--disorder", "--one-party", "region",
            "--truth", self.path("truth.jsonl"),
        )
        bad = f"this is no event\n{json.dumps(WAITING)}\n{{}}\n{json.dumps(WAITING_TOO)}\n"
        pathlib.Path(self.path(BAD_FILE)).write_text(bad, encoding="utf-8")
        self.report = json.loads(
            self.run("ingest", self.path("events"), "--lake", self.lake, "--batch-rows", 1_000, "--format", "json")
        )
        with open(self.path("truth.jsonl"), encoding="utf-8") as file:
            self.truth = [json.loads(line) for line in file]
        self.token("90-B3-D5-1F-30-02-00-00", "--public-key-out", self.path("key.pub.pem"))
        self.serves = self.serving(self.lake)
        self.url = self.serves.__enter__()
        return self

    def __exit__(self, *how):
        self.serves.__exit__(*how)

    @contextlib.contextmanager
    def serving(self, lake, *arguments, environment=None, plain=True):
        """The URL of a server over a lake, up as long as the context."""
        server = subprocess.Popen(
            [self.binary, "serve", "--lake", lake, "--public-key", self.path("key.pub.pem"),
             "--listen", "127.0.0.1:0", *(["--plain-text"] if plain else []), *arguments],
            stdout=subprocess.PIPE, text=True, env=os.environ | (environment or {}),
        )
        try:
            yield server.stdout.readline().strip()
        finally:
            server.terminate()
            try:
                server.wait(timeout=60)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
                raise

    def token(self, *users_and_more):
        return self.run(
            "token", "--key", self.path("key.pem"), "--party", "region", "--role", "role-01", "--user-id", *users_and_more
        ).strip()

    def busiest_device(self):
        """The Device with most trails, and those trails."""
        [device] = self.busiest_devices(1)
        return device, [trail for trail in self.truth if trail["device_id"] == device]

    def busiest_devices(self, count):
        """The Devices with most trails."""
        found = collections.Counter(trail["device_id"] for trail in self.truth if trail["device_id"])
        return [device for device, _ in found.most_common(count)]

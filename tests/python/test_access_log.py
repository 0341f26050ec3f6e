"""The access log, read and proved by a program that shares nothing with gridtrail: docs/decisions/0061 is all that it knows."""

import collections
import datetime
import hashlib
import json
import struct
import subprocess
import uuid

from deltalake import DeltaTable

# In the order in which they are hashed; the type says how.
FIELDS = [
    ("kind", "text"), ("at", "time"), ("call", "text"), ("outcome", "text"), ("reason", "text"), ("times", "number"),
    ("subject", "text"), ("party", "text"), ("session", "text"), ("roles", "text"), ("key_kind", "text"), ("key", "text"),
    ("variants", "text"), ("period_from", "time"), ("period_to", "time"), ("rows", "number"), ("rows_of_others", "number"),
    ("version", "text"), ("page_size", "number"), ("later_page", "number"), ("peer", "text"), ("took_us", "number"),
    ("detail", "text"),
]
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


def number(value):
    return b"\0" if value is None else b"\1" + struct.pack(">Q", value)


def text(value):
    return number(None if value is None else len(value.encode())) + (value or "").encode()


def time(value):
    return number(None if value is None else (value - EPOCH) // datetime.timedelta(milliseconds=1))


def hash_after(previous, row):
    form = b"gridtrail access log 1\n" + previous + uuid.UUID(row["chain"]).bytes + number(row["seq"])
    for name, kind in FIELDS:
        form += {"number": number, "text": text, "time": time}[kind](row[name])
    return hashlib.sha256(form).digest()


def test_every_hash_of_the_access_log_is_that_of_its_row(stage):
    device, trails = stage.busiest_device()
    user = trails[0]["user_id"]
    with stage.serving(stage.lake) as url:
        for service in ("audit", "meter-reads"):
            stage.run("search", service, "--server", url, "--token", stage.token(user), "--device", device)
        refused = subprocess.run(
            [stage.binary, "search", "audit", "--server", url, "--token", "none", "--device", device], capture_output=True
        )
        assert refused.returncode == 4, refused
    rows = DeltaTable(str(stage.lake / "access_log")).to_pyarrow_table().to_pylist()
    chains = collections.defaultdict(list)
    for row in rows:
        chains[row["chain"]].append(row)
    for chain in chains.values():
        chain.sort(key=lambda row: row["seq"])
        assert [row["seq"] for row in chain] == list(range(len(chain)))
        previous = bytes(32)
        for row in chain:
            assert row["hash"] == hash_after(previous, row), row
            previous = row["hash"]
    [ours] = [chain for chain in chains.values() if any(row["key"] == device for row in chain)]
    assert [row["kind"] for row in ours] == ["start", "call", "call", "call", "end"]
    assert json.loads(ours[-1]["detail"]) == {"rows": len(ours) - 1}
    assert [row["outcome"] for row in ours[1:-1]] == ["OK", "OK", "UNAUTHENTICATED"]
    heads = json.loads(ours[0]["detail"])["heads"]
    assert {head["chain"] for head in heads} < set(chains), "it saw the chain of the server that runs beside it"

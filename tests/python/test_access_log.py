"""The access log, read and proved by a program that shares nothing with gridtrail: docs/decisions/0061 is all that it knows."""

import collections
import datetime
import hashlib
import json
import pathlib
import secrets
import shutil
import struct
import subprocess
import uuid

import pyarrow
import pyarrow.parquet
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


def millis(text):
    return int(datetime.datetime.fromisoformat(text).timestamp() * 1_000)


def chain_of(written, details):
    """A chain of rows with these kinds and details, all of one time, hashes and all."""
    bits = millis(written) << 80 | 7 << 76 | secrets.randbits(12) << 64 | 2 << 62 | secrets.randbits(62)
    rows, previous = [], bytes(32)
    for seq, (kind, detail) in enumerate(details):
        row = {name: None for name, _ in FIELDS} | {
            "chain": str(uuid.UUID(int=bits)), "seq": seq, "kind": kind, "at": datetime.datetime.fromisoformat(written),
            "call": "", "outcome": "", "times": 1, "detail": json.dumps(detail),
        }
        previous = row["hash"] = hash_after(previous, row)
        rows.append(row)
    return rows


def forge(lake, rows, numbers):
    """One commit as gridtrail makes them: every file of the access log goes, and one of these rows comes."""
    table = DeltaTable(str(lake / "access_log"))
    log = lake / "access_log/_delta_log"
    entries = sorted(log.glob("*.json"))
    adds = [json.loads(line)["add"] for entry in entries for line in entry.read_text().splitlines() if '"add":' in line]
    month = rows[0]["at"].strftime("%Y-%m")
    path = f"month={month}/{uuid.uuid4()}.parquet"
    [schema] = {pyarrow.parquet.read_schema(lake / "access_log" / uri) for uri in table.file_uris()[:1]}
    (lake / "access_log" / path).parent.mkdir(exist_ok=True)
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows, schema), lake / "access_log" / path)
    size = (lake / "access_log" / path).stat().st_size
    add = adds[-1] | {"path": path, "size": size, "partitionValues": {"month": month}, "tags": {}}
    folder = f"{lake / 'access_log'}/"
    gone = [uri.removeprefix("file://").removeprefix(folder) for uri in table.file_uris()]
    actions = [{"commitInfo": {"timestamp": 0, "gridtrailCommitId": "forged"}}, {"add": add}]
    actions += [{"remove": {"path": name, "dataChange": True, "deletionTimestamp": 0}} for name in gone]
    actions += [{"txn": {"appId": name, "version": number}} for name, number in numbers.items()]
    number = int(entries[-1].stem) + 1
    (log / f"{number:020}.json").write_text("".join(json.dumps(action) + "\n" for action in actions))


def gone_of(counted):
    """All rows that went, as docs/decisions/0097 has them counted."""
    hashed = hashlib.sha256(b"gridtrail access log gone 1\n")
    for chain, last in sorted((uuid.UUID(chain).bytes, last) for chain, last in counted.items()):
        hashed.update(chain + struct.pack(">Q", last))
    return {"chains": len(counted), "rows": sum(counted.values()) + len(counted), "hash": hashed.hexdigest()}


def test_an_access_log_that_was_emptied_with_a_forged_row_is_damage(stage):
    """Whoever can write to the store says that all was let go since it was old: in 2031, now, and with the counts that go with it."""
    rows = DeltaTable(str(stage.lake / "access_log")).to_pyarrow_table().to_pylist()
    counted = {chain: max(row["seq"] for row in rows if row["chain"] == chain) for chain in {row["chain"] for row in rows}}
    now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    soon = (now + datetime.timedelta(days=40)).isoformat()
    forgeries = [("2031-03-01T09:30:00+00:00", "2030-11-01T00:00:00.000Z", {}),
                 ("2031-03-01T09:30:00+00:00", "2030-11-01T00:00:00.000Z", counted),
                 (now.isoformat(), soon[:19] + ".000Z", counted)]
    for written, before, gone in forgeries:
        lake = pathlib.Path(stage.path("emptied"))
        shutil.copytree(stage.lake, lake)
        said = {"before": before, "rows": len(rows), "hash": "0" * 64, "chains": [], "gone": gone_of(gone)}
        started = {"by": "retention", "version": "0", "heads": []}
        chain = chain_of(written, [("start", started), ("trimmed", said), ("end", {"rows": 2})])
        numbers = {f"chain/{chain[0]['chain']}": 2} | {f"gone/{name}": last for name, last in gone.items()}
        forge(lake, chain, numbers)
        done = subprocess.run(
            [stage.binary, "lake", "verify", "--lake", lake, "--format", "json"], capture_output=True, text=True, check=False
        )
        verified = json.loads(done.stdout)
        missing = {damage["path"] for damage in verified["damages"] if "missing" in damage["what"]}
        assert missing == {f"{chain}/0" for chain in counted}, (written, before, verified["damages"])
        assert done.returncode == 8 and {damage["kind"] for damage in verified["damages"]} == {"chain"}, verified
        shutil.rmtree(lake)

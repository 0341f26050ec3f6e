"""A lake in an S3-compatible object store: ingest, search and another Delta reader, with nothing on the local disk."""

import contextlib
import json
import logging
import os
import pathlib
import re
import shutil
import subprocess
import urllib.request

import boto3
import botocore.exceptions
import deltalake
from moto.server import ThreadedMotoServer

from faulty import FaultyProxy
from packed import key_of
from policed import PolicedProxy

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1"}
# How long the client waits for an answer, in seconds.
PATIENCE = 1
RECORDS_A_FILE = 2_000
# Runs of an ingest whose store fails, before the test gives up.
RUNS = 60
# Ends of a command: done, and a part of the system cannot be reached.
DONE, UNAVAILABLE = 0, 6
TABLES = ("trails", "parked", "mpxn_devices", "named_rows", "inventory", "anomaly", "schedules", "dead_letters", "commits")


@contextlib.contextmanager
def object_store():
    """The address of a store with an empty bucket, up as long as the context."""
    store = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    # One line a request says nothing that a failure would need.
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    store.start()
    try:
        host, port = store.get_host_and_port()
        # Stores of one process share what they hold.
        request = urllib.request.Request(f"http://{host}:{port}/moto-api/reset", method="POST")
        urllib.request.urlopen(request).close()
        client(f"http://{host}:{port}").create_bucket(Bucket="lake")
        yield host, port
    finally:
        store.stop()


def client(endpoint, key="test"):
    return boto3.client(
        "s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id=key, aws_secret_access_key="test"
    )


def settings(url):
    return CREDENTIALS | {"AWS_ENDPOINT": url, "AWS_ALLOW_HTTP": "true"}


def run(stage, environment, *arguments):
    command = [stage.binary, *map(str, arguments)]
    return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)


def test_a_lake_in_an_object_store_answers_as_one_in_a_folder(stage):
    with object_store() as (host, port):
        environment = settings(f"http://{host}:{port}")
        ingest = (
            "ingest", stage.path("events"), "--lake", "s3://lake/region", "--batch-rows", 1_000, "--format", "json"
        )
        reports = []
        for _ in range(2):
            done = run(stage, environment, *ingest)
            assert done.returncode == DONE, done.stderr
            reports.append(json.loads(done.stdout))
        same = ("records", "stored", "parked", "dead_lettered", "commits")
        assert {name: reports[0][name] for name in same} == {name: stage.report[name] for name in same}
        assert reports[1]["records"] == 0, "a second ingest finds nothing new"
        there = deltalake.DeltaTable("s3://lake/region/trails", storage_options=environment)
        here = deltalake.DeltaTable(f"{stage.lake}/trails")
        assert there.to_pyarrow_dataset().count_rows() == here.to_pyarrow_dataset().count_rows() > 0
        same_searches(stage, environment, stage.busiest_devices(1))


def same_searches(stage, environment, devices):
    """Each device's trails are those of the lake in a folder."""
    users = sorted({trail["user_id"] for trail in stage.truth})
    with open(stage.path("s3.jwt"), "w", encoding="utf-8") as file:
        file.write(stage.token(",".join(users)))
    with stage.serving("s3://lake/region", environment=environment) as url:
        for device in devices:
            search = (
                "search", "audit", "--token-file", stage.path("s3.jwt"), "--device", device, "--all", "--details",
                "--format", "json",
            )
            remote = json.loads(stage.run(*search, "--server", url))
            local = json.loads(stage.run(*search, "--server", stage.url))
            assert remote["rows"] == local["rows"] and local["rows"], device


def test_a_store_that_fails_changes_nothing(stage):
    seed = int(os.environ.get("GRIDTRAIL_S3_SEED", 7))
    with object_store() as store, FaultyProxy(store, PATIENCE, seed) as proxy:
        failing = settings(proxy.url) | {"AWS_TIMEOUT": f"{PATIENCE}s"}
        ends = ingest_to_the_end(stage, split(stage), failing)
        environment = settings(f"http://{store[0]}:{store[1]}")
        faults = {fault: count for fault, count in proxy.done.items() if fault}
        for conditional in FaultyProxy.CONDITIONAL + FaultyProxy.SLOW:
            assert faults.get((conditional, "conditional")), f"{conditional} never came: {faults}"
        every_file_is_named_once(client(environment["AWS_ENDPOINT"]))
        the_evidence_adds_up(stage, environment)
        every_trail_is_there(stage, environment)
        same_searches(stage, environment, stage.busiest_devices(12))
    total = sum(proxy.done.values())
    return f"ok: seed {seed}, {sum(faults.values())} of {total} requests failed, {len(ends)} runs, {ends.count(DONE)} done"


def split(stage):
    """The same events in many small files, for a batch ends with a file at the earliest."""
    folder = pathlib.Path(stage.path("split"))
    folder.mkdir()
    frames = []
    for path in sorted(pathlib.Path(stage.path("events")).iterdir()):
        if path.suffix == ".binpb":
            frames += framed(path.read_bytes())
        else:
            shutil.copy(path, folder)
    for at in range(0, len(frames), RECORDS_A_FILE):
        (folder / f"{at:06}.binpb").write_bytes(b"".join(frames[at : at + RECORDS_A_FILE]))
    return folder


def framed(data):
    """The records of a file, each with its length before it."""
    frames, at = [], 0
    while at < len(data):
        start, length, shift = at, 0, 0
        while True:
            byte = data[at]
            length |= (byte & 0x7F) << shift
            at, shift = at + 1, shift + 7
            if byte < 0x80:
                break
        at += length
        frames.append(data[start:at])
    return frames


def ingest_to_the_end(stage, events, environment):
    """Runs an ingest as its user would, who runs it again when the store cannot be reached. Returns the exit codes."""
    ends = []
    while DONE not in ends:
        assert len(ends) < RUNS, f"no end: {ends}"
        done = run(stage, environment, "ingest", events, "--lake", "s3://lake/region", "--batch-rows", 200)
        assert done.returncode in (DONE, UNAVAILABLE), f"{done.returncode}: {done.stderr}"
        assert "panicked" not in done.stderr, done.stderr
        ends.append(done.returncode)
    return ends


def every_file_is_named_once(s3):
    """By the logs themselves: no file is added twice, and each that is live is there."""
    for table in TABLES:
        prefix = f"region/{table}/"
        listed = s3.get_paginator("list_objects_v2").paginate(Bucket="lake", Prefix=prefix)
        there = [entry["Key"] for page in listed for entry in page.get("Contents", [])]
        added, removed = [], set()
        entries = sorted(key for key in there if "/_delta_log/" in key and key.endswith(".json"))
        assert entries, f"{table} has no log"
        for key in entries:
            for line in s3.get_object(Bucket="lake", Key=key)["Body"].read().splitlines():
                action = json.loads(line)
                if "add" in action:
                    added.append(action["add"]["path"])
                if "remove" in action:
                    removed.add(action["remove"]["path"])
        assert len(added) == len(set(added)), f"{table} names a file twice"
        missing = {prefix + path for path in added if path not in removed} - set(there)
        assert not missing, f"{table} names what is not there: {missing}"


def the_evidence_adds_up(stage, environment):
    """Every byte of every file was taken once, and every record is counted once."""
    table = deltalake.DeltaTable("s3://lake/region/commits", storage_options=environment).to_pyarrow_table()
    sources = [source for source in map(json.loads, table["evidence"].to_pylist()) if source]
    assert sum(source["records"] for source in sources) == stage.report["records"]
    assert sum(source["dead_lettered"] for source in sources) == stage.report["dead_lettered"]
    parts = {}
    for source in sources:
        parts.setdefault(source["source"], []).append((source["from"], source["to"]))
    for name, ranges in parts.items():
        ranges.sort()
        assert ranges[0][0] == 0, f"{name} starts at {ranges[0]}"
        gaps = [(a, b) for a, b in zip(ranges, ranges[1:]) if a[1] != b[0]]
        assert not gaps, f"{name}: gaps or overlaps {gaps[:3]}"


def every_trail_is_there(stage, environment):
    """The trails, by their keys, are those of the lake in a folder."""
    columns = ["user_id", "device_id", "received_at", "shape", "tail"]
    there = deltalake.DeltaTable("s3://lake/region/trails", storage_options=environment)
    here = deltalake.DeltaTable(f"{stage.lake}/trails")
    keys = [
        {key_of(row) for row in table.to_pyarrow_table(columns=columns).to_pylist()} for table in (there, here)
    ]
    assert keys[0] == keys[1] and keys[0]


ROOT = pathlib.Path(__file__).parents[2]
POLICIES = ROOT / "docs/examples/policies"
PROCESSES = ("ingest", "serve", "compact")
# What each process may not write, though it lies in the lake: whoever takes it over could be anybody, or share anybody's rows.
FORBIDDEN = {
    "ingest": ("_sessions/sessions/0/session", "_sessions/people/0/details", "_sessions/accounts/0/1", "_sessions/providers/0/1",
               "access_log/_delta_log/00000000000000000009.json", "holds/_delta_log/00000000000000000009.json"),
    "serve": ("trails/_delta_log/00000000000000000099.json", "access_events/_delta_log/00000000000000000099.json",
              "dead_letters/_delta_log/00000000000000000099.json", "holds/_delta_log/00000000000000000009.json",
              "_sessions/accounts/0/1", "_sessions/providers/0/1"),
    "compact": ("_sessions/sessions/0/session", "_sessions/people/0/details", "_sessions/accounts/0/1", "_sessions/providers/0/1"),
}


def policies():
    return {name: json.loads((POLICIES / f"{name}.json").read_text()) for name in PROCESSES}


def test_each_process_may_write_what_it_must_and_no_more(stage):
    """With the credentials of docs/examples/policies everything works, and what takes a lake over is refused."""
    with object_store() as store:
        admin = client(f"http://{store[0]}:{store[1]}")
        admin.create_bucket(Bucket="gridtrail")
        with PolicedProxy(store, policies()) as proxy:
            lake = "s3://gridtrail/lake"
            every_process_works(stage, proxy, lake)
            assert not proxy.refused, proxy.refused[:5]
            for process, names in FORBIDDEN.items():
                for name in names:
                    refused(client(proxy.url, process), f"lake/{name}")
            for folder in ("requests", "answered", "assertions", "sessions", "people"):
                client(proxy.url, "serve").put_object(Bucket="gridtrail", Key=f"lake/_sessions/{folder}/0/x", Body=b"")
            there = admin.list_objects_v2(Bucket="gridtrail", Prefix="lake/_sessions/")["Contents"]
            assert len(there) == 5, there


def every_process_works(stage, proxy, lake):
    def by(process):
        return settings(proxy.url) | {"AWS_ACCESS_KEY_ID": process}

    def done(process, *arguments):
        outcome = run(stage, by(process), *arguments)
        assert outcome.returncode == DONE, (process, arguments, outcome.stderr, proxy.refused)
        return outcome.stdout

    done("operator", "lake", "create", "--lake", lake)
    ingest = ("ingest", stage.path("events"), "--lake", lake, "--no-maintenance", "--batch-rows", 1_000)
    done("ingest", *ingest)
    device, trails = stage.busiest_device()
    with open(stage.path("policed.jwt"), "w", encoding="utf-8") as file:
        file.write(stage.token(trails[0]["user_id"]))
    with stage.serving(lake, "--no-maintenance", environment=by("serve")) as url:
        search = ("search", "audit", "--server", url, "--token-file", stage.path("policed.jwt"), "--device", device)
        assert json.loads(stage.run(*search, "--format", "json"))["rows"]
    done("compact", "compact", "--lake", lake, "--full")
    done("compact", "lake", "vacuum", "--lake", lake)
    done("compact", "lake", "retain", "--lake", lake)
    done("operator", "lake", "verify", "--lake", lake)
    assert "AuditTrailService.Search" in done("operator", "access", "log", "--lake", lake)


def refused(s3, key):
    for act in (lambda: s3.put_object(Bucket="gridtrail", Key=key, Body=b"forged"),
                lambda: s3.delete_object(Bucket="gridtrail", Key=key)):
        try:
            act()
        except botocore.exceptions.ClientError as error:
            assert error.response["Error"]["Code"] == "AccessDenied", (key, error)
        else:
            raise AssertionError(f"{key} could be written")


def test_compose_gives_each_process_what_its_policy_does(_):
    """docker-compose.yml says the same in the words of its store."""
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    for name, policy in policies().items():
        identity = re.search(rf'"name": "{name}".*?"actions": \[(.*?)\]', text, re.DOTALL).group(1)
        by_action = {}
        for statement in policy["Statement"]:
            for action in statement["Action"]:
                resources = [resource.removeprefix("arn:aws:s3:::") for resource in statement["Resource"]]
                by_action.setdefault(action, set()).update(resources)
        said = {action: set(re.findall(rf'"{action}:([^"]*)"', identity)) for action in ("List", "Read", "Write")}
        # Its store knows no action for deleting alone.
        writes = by_action["s3:PutObject"] | by_action.get("s3:DeleteObject", set())
        assert said == {"List": {"gridtrail"}, "Read": by_action["s3:GetObject"], "Write": writes}, name

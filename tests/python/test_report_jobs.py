"""Scheduled reports in an S3-compatible object store: workers share the work, are killed, and their store fails; each report is there once."""

import datetime
import hashlib
import json
import os
import random
import subprocess
import time

from faulty import FaultyProxy
from test_s3 import DONE, PATIENCE, UNAVAILABLE, client, object_store, run, settings

USERS = ("90-B3-D5-1F-30-02-00-00", "90-B3-D5-1F-30-02-00-01")
DAYS = 4
FILES = 6


def schedule(stage, job, more=""):
    """A schedule whose reports were due at the beginning of the last days."""
    path = stage.path(f"{job}.toml")
    since = (datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=DAYS)).date()
    with open(path, "w", encoding="utf-8") as file:
        file.write(
            f'[[jobs]]\nname = "{job}"\nreport = "monthly-transactions"\nparameters = {{ month = "2026-03" }}\nparty = "region"\n'
            f'user_ids = {json.dumps(USERS)}\nroles = ["role-01"]\ncron = "0 0 * * *"\ntime_zone = "UTC"\nfrom = "{since}"\n'
            f'formats = ["csv", "json"]\nto = "s3://lake/{job}"\nwait_max = "0s"\ncatch_up = 100\nretry_after = "1s"\ntime_max = "20s"\n{more}\n'
        )
    return path


def worker(stage, path):
    return ("report", "worker", "--once", "--schedule", path, "--lake", "s3://lake/jobs", "--log", "error")


def objects(s3, prefix):
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket="lake", Prefix=prefix)
    return {entry["Key"].removeprefix(prefix) for page in pages for entry in page.get("Contents", ())}


def until_done(stage, environment, path):
    """What others held lapses, and the rest is made."""
    deadline = time.monotonic() + 300
    while True:
        last = run(stage, environment, *worker(stage, path))
        if last.returncode == DONE:
            return
        assert last.returncode == UNAVAILABLE and time.monotonic() < deadline, last.stderr
        time.sleep(1)


def each_is_there_once(stage, environment, job):
    """By the history and by the store: every period and User once, every file whole, and nothing else."""
    told = run(stage, environment, "report", "history", "--lake", "s3://lake/jobs", "--job", job, "--format", "json")
    assert told.returncode == DONE, told.stderr
    history = json.loads(told.stdout)
    s3 = client(environment["AWS_ENDPOINT"])
    found, keys = objects(s3, f"{job}/"), {(past["due"], past["user_id"]) for past in history}
    assert len(keys) == len(history) in ((DAYS + 1) * len(USERS), (DAYS + 2) * len(USERS)), history
    assert all(past["state"] == "published" and past["rows"] > 0 for past in history), history
    for past in history:
        assert len(past["files"]) == FILES
        for file in past["files"]:
            body = s3.get_object(Bucket="lake", Key=f"{job}/{file['name']}")["Body"].read()
            assert (len(body), hashlib.sha256(body).hexdigest()) == (file["bytes"], file["sha256"]), file
            found.remove(file["name"])
    assert not found, found
    return len(history)


def test_workers_share_a_schedule_in_an_object_store(stage):
    seed = int(os.environ.get("GRIDTRAIL_REPORT_KILLS_SEED", "1"))
    chance, killed = random.Random(seed), 0
    with object_store() as (host, port):
        environment = settings(f"http://{host}:{port}")
        done = run(stage, environment, "ingest", stage.path("events"), "--lake", "s3://lake/jobs")
        assert done.returncode == DONE, done.stderr
        # Two at once, neither disturbed.
        path = schedule(stage, "shared")
        both = [subprocess.Popen([stage.binary, *worker(stage, path)], env=os.environ | environment, stdout=subprocess.DEVNULL) for _ in range(2)]
        assert all(process.wait() in (DONE, UNAVAILABLE) for process in both)
        until_done(stage, environment, path)
        shared = each_is_there_once(stage, environment, "shared")
        # Two at once, killed again and again.
        path = schedule(stage, "killed")
        for _ in range(6):
            both = [subprocess.Popen([stage.binary, *worker(stage, path)], env=os.environ | environment, stdout=subprocess.DEVNULL) for _ in range(2)]
            for process in both:
                try:
                    process.wait(timeout=chance.uniform(0.2, 3))
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
                    killed += 1
        until_done(stage, environment, path)
        each_is_there_once(stage, environment, "killed")
    return f"ok: seed {seed}, {shared} reports by two workers, as many again with {killed} of them killed"


def test_a_store_that_fails_leaves_each_scheduled_report_once(stage):
    seed = int(os.environ.get("GRIDTRAIL_S3_SEED", 7))
    with object_store() as store, FaultyProxy(store, PATIENCE, seed) as proxy:
        environment = settings(f"http://{store[0]}:{store[1]}")
        done = run(stage, environment, "ingest", stage.path("events"), "--lake", "s3://lake/jobs")
        assert done.returncode == DONE, done.stderr
        path = schedule(stage, "failing")
        failing = settings(proxy.url) | {"AWS_TIMEOUT": f"{PATIENCE}s"}
        for _ in range(3):
            run(stage, failing, *worker(stage, path))
        until_done(stage, environment, path)
        reports = each_is_there_once(stage, environment, "failing")
    faults = sum(count for fault, count in proxy.done.items() if fault)
    assert faults, proxy.done
    return f"ok: seed {seed}, {faults} requests failed, {reports} reports"

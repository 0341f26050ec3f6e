"""A lake in an S3-compatible object store: ingest, search and another Delta reader, with nothing on the local disk."""

import json
import logging
import os
import subprocess

import boto3
import deltalake
from moto.server import ThreadedMotoServer

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1"}


def test_a_lake_in_an_object_store_answers_as_one_in_a_folder(stage):
    store = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    # One line a request says nothing that a failure would need.
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    store.start()
    try:
        host, port = store.get_host_and_port()
        environment = CREDENTIALS | {"AWS_ENDPOINT": f"http://{host}:{port}", "AWS_ALLOW_HTTP": "true"}
        make_bucket(environment["AWS_ENDPOINT"])
        compare(stage, environment)
    finally:
        store.stop()


def make_bucket(endpoint):
    client = boto3.client(
        "s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
    )
    client.create_bucket(Bucket="lake")


def compare(stage, environment):
    def run(*arguments):
        command = [stage.binary, *map(str, arguments)]
        done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    ingest = ("ingest", stage.path("events"), "--lake", "s3://lake/region", "--batch-rows", 1_000, "--format", "json")
    report = json.loads(run(*ingest))
    same = ("records", "stored", "parked", "dead_lettered", "commits")
    assert {name: report[name] for name in same} == {name: stage.report[name] for name in same}
    assert json.loads(run(*ingest))["records"] == 0, "a second ingest finds nothing new"

    there = deltalake.DeltaTable("s3://lake/region/trails", storage_options=environment)
    here = deltalake.DeltaTable(f"{stage.lake}/trails")
    assert there.to_pyarrow_dataset().count_rows() == here.to_pyarrow_dataset().count_rows() > 0

    device, trails = stage.busiest_device()
    with stage.serving("s3://lake/region", environment=environment) as url:
        with open(stage.path("s3.jwt"), "w", encoding="utf-8") as file:
            file.write(stage.token(trails[0]["user_id"]))
        search = ("search", "audit", "--token-file", stage.path("s3.jwt"), "--device", device, "--all", "--format", "json")
        remote = json.loads(run(*search, "--server", url))
        local = json.loads(run(*search, "--server", stage.url))
    assert remote["rows"] == local["rows"] and local["rows"]

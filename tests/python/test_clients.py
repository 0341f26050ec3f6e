"""The documented clients of docs/api.md, against a live server."""

import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[2]
METER_READS = {"4.8.1", "4.8.2", "4.8.3", "4.17"}


def python_client(stage, token, *arguments):
    """The example client's exit code, rows and standard error."""
    done = subprocess.run(
        [sys.executable, ROOT / "docs/examples/search.py", stage.url, token, *arguments],
        capture_output=True, text=True, check=False,
    )
    return done.returncode, [line.split("\t") for line in done.stdout.splitlines()], done.stderr


def received(trails):
    return sorted(trail["request_received_at"] for trail in trails)


def times(rows):
    """RFC 3339 leaves out a fraction of zero, which the truth does not."""
    whole = [row[0] if "." in row[0] else row[0].replace("Z", ".000Z") for row in rows]
    return sorted(whole)


def test_the_example_finds_the_callers_rows(stage):
    device, trails = stage.busiest_device()
    user = trails[0]["user_id"]
    code, rows, errors = python_client(stage, stage.token(user), device, "--all", "--page-size", "2")
    assert code == 0, errors
    assert times(rows) == received(trail for trail in trails if trail["user_id"] == user)
    assert {row[2] for row in rows} == {user}
    assert "complete up to 2026-" in errors, errors


def test_the_example_finds_everybodys_meter_reads_and_one_row_by_its_reference(stage):
    device, trails = stage.busiest_device()
    token = stage.token(trails[0]["user_id"])
    code, rows, errors = python_client(stage, token, device, "--meter-reads", "--all")
    assert code == 0, errors
    reads = [trail for trail in trails if trail["service_reference_variant"] in METER_READS]
    assert times(rows) == received(reads) and rows
    code, again, errors = python_client(stage, token, rows[0][-1], "--meter-reads", "--get")
    assert (code, again[0]) == (0, rows[0]), errors
    assert len(again) > 1, "a row by reference shows its Status Change History"


def test_the_example_says_why_it_was_refused(stage):
    device, trails = stage.busiest_device()
    code, rows, errors = python_client(stage, "nonsense", device)
    assert (code, rows) == (1, []) and "UNAUTHENTICATED" in errors and '"http_code": "401"' in errors, errors
    token = stage.token(trails[0]["user_id"])
    code, rows, errors = python_client(stage, token, "uprn:100012345678")
    assert (code, rows) == (1, []) and "FAILED_PRECONDITION" in errors, errors
    code, rows, errors = python_client(stage, token, device, "--from", "yesterday")
    assert (code, rows) == (1, []) and "INVALID_ARGUMENT" in errors and "fieldViolations" in errors, errors


def test_grpcurl_as_documented(stage):
    if not shutil.which("grpcurl"):
        return "skipped: grpcurl is not installed"
    device, trails = stage.busiest_device()
    address = stage.url.removeprefix("http://")
    token = stage.token(trails[0]["user_id"])
    services = subprocess.run(
        ["grpcurl", "-plaintext", address, "list"], capture_output=True, text=True, check=True
    ).stdout
    assert "gridtrail.query.v1.AuditTrailService" in services, services
    answer = subprocess.run(
        ["grpcurl", "-plaintext", "-H", f"authorization: Bearer {token}", "-d", f'{{"device_id": "{device}"}}',
         address, "gridtrail.query.v1.AuditTrailService/Search"],
        capture_output=True, text=True, check=True,
    ).stdout
    assert device in answer, answer
    return None

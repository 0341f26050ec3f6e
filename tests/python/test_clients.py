"""The documented clients of docs/api.md, against a live server."""

import base64
import json
import pathlib
import re
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
    displayed = re.compile(rf"\({user}\)[^/]+/(IS|ES|GS|RSA|ED|GT|OU)( \(.+\))?")
    assert rows and all(displayed.fullmatch(row[2]) for row in rows), rows
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


def test_the_example_speaks_tls(stage):
    device, trails = stage.busiest_device()
    certificate, key = stage.path("tls.pem"), stage.path("tls.key")
    stage.run("dev-certificate", "--certificate", certificate, "--key", key, "--name", "127.0.0.1")
    shown, its_key = stage.path("client.pem"), stage.path("client.key")
    stage.run("dev-certificate", "--certificate", shown, "--key", its_key, "--name", "client")
    encrypted = ("--tls-certificate", certificate, "--tls-key", key, "--client-anchors", shown, "--no-maintenance")
    with stage.serving(stage.lake, *encrypted, plain=False) as url:
        ask = [sys.executable, ROOT / "docs/examples/search.py", url, stage.token(trails[0]["user_id"]), device]
        trusting = ["--anchors", certificate, "--certificate", shown, "--key-file", its_key]
        done = subprocess.run([*ask, *trusting], capture_output=True, text=True, check=False)
        assert (done.returncode, bool(done.stdout)) == (0, True), done.stderr
        for less in ([], trusting[:2]):
            assert subprocess.run([*ask, *less], capture_output=True, text=True, check=False).returncode == 1, less


def test_the_example_says_why_it_was_refused(stage):
    device, trails = stage.busiest_device()
    code, rows, errors = python_client(stage, "nonsense", device)
    assert (code, rows) == (1, []) and "UNAUTHENTICATED" in errors and '"http_code": "401"' in errors, errors
    token = stage.token(trails[0]["user_id"])
    # A UPRN that no registration names is no error.
    code, rows, errors = python_client(stage, token, "uprn:100012345678")
    assert (code, rows) == (0, []), errors
    code, rows, errors = python_client(stage, token, device, "--from", "yesterday")
    assert (code, rows) == (1, []) and "INVALID_ARGUMENT" in errors and "fieldViolations" in errors, errors


def test_a_page_token_outlives_the_server_that_gave_it(stage):
    """With a shared page key, any server goes on where another stopped."""
    device, trails = stage.busiest_device()
    page_key = base64.b64encode(bytes(range(32))).decode()
    for name, text in (("page.key", page_key), ("page.jwt", stage.token(trails[0]["user_id"]))):
        stage.write_secret(name, f"{text}\n".encode())
    search = ("search", "audit", "--token-file", stage.path("page.jwt"), "--device", device, "--format", "json")
    whole = json.loads(stage.run(*search, "--server", stage.url, "--all"))["rows"]
    rows, token = [], ()
    while True:
        with stage.serving(stage.lake, "--page-key", stage.path("page.key"), "--no-maintenance") as url:
            page = json.loads(stage.run(*search, "--server", url, "--page-size", len(whole) // 2, *token))
        rows += page["rows"]
        if not page.get("nextPageToken"):
            break
        token = ("--page-token", page["nextPageToken"])
    assert rows == whole and len(whole) > 1


def test_a_page_key_that_is_none_is_refused(stage):
    stage.write_secret("short.key", b"0123")
    done = subprocess.run(
        [stage.binary, "serve", "--lake", stage.lake, "--public-key", stage.path("key.pub.pem"),
         "--plain-text", "--page-key", stage.path("short.key")],
        capture_output=True, text=True, check=False,
    )
    assert done.returncode == 2 and "32 bytes in base64" in done.stderr, done.stderr


def grpcurl(*arguments):
    """What grpcurl answers; an error status makes it fail."""
    done = subprocess.run(["grpcurl", "-plaintext", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_grpcurl_as_documented(stage):
    if not shutil.which("grpcurl"):
        return "skipped: grpcurl is not installed, and neither is Go to install it"
    device, trails = stage.busiest_device()
    address = stage.url.removeprefix("http://")
    header = ("-H", f"authorization: Bearer {stage.token(trails[0]['user_id'])}")
    for service, visible in (
        ("AuditTrailService", lambda trail: trail["user_id"] == trails[0]["user_id"]),
        ("MeterReadService", lambda trail: trail["service_reference_variant"] in METER_READS),
    ):
        service = f"gridtrail.query.v1.{service}"
        days = [min(received(trails))[:10], max(received(trails))[:10]]
        query = json.dumps({"device_id": device, "from": days[0], "to": days[1], "page_size": 1000})
        answer = json.loads(grpcurl(*header, "-d", query, address, f"{service}/Search"))
        assert len(answer["rows"]) == sum(map(visible, trails)) > 0
        assert answer["completeUpTo"].startswith("2026-")
        row = answer["rows"][0]
        query = json.dumps({"reference": row["reference"]})
        assert json.loads(grpcurl(*header, "-d", query, address, f"{service}/Get"))["row"] == row
        kind = "audit" if service.endswith("AuditTrailService") else "meter-reads"
        from_server = ("--server", stage.url, "--token", stage.token(trails[0]["user_id"]), "--format", "json")
        said = stage.run("search", kind, *from_server, "--device", device, "--from", days[0], "--to", days[1], "--page-size", 1000)
        assert json.loads(said) == answer, "the command prints what grpcurl prints"
        meter_reads = [] if kind == "audit" else ["--meter-reads"]
        said = json.loads(stage.run("get", row["reference"], *meter_reads, *from_server))
        assert said["row"] == row and row["details"]["serviceReferenceVariantName"], said
    profile = json.loads(grpcurl(*header, address, "gridtrail.query.v1.SessionService/Profile"))
    said = json.loads(stage.run("whoami", *from_server))
    # Each token has an end of its own.
    assert {**said, "expiresAt": None} == {**profile, "expiresAt": None} and profile["userIds"], said
    freshness = json.loads(grpcurl(*header, "-d", '{"days": 7}', address, "gridtrail.query.v1.FreshnessService/Get"))
    # The stage holds files of a day long past.
    assert freshness["level"] == "FRESHNESS_LEVEL_BREACH" and freshness["sources"][0]["name"] == "files"
    assert "gridtrail.query.v1.AuditTrailService" in grpcurl(address, "list").splitlines()
    assert "service_request_received_at" in grpcurl(address, "describe", "gridtrail.query.v1.TrailRow")
    query = '{"service": "gridtrail.query.v1.AuditTrailService"}'
    assert json.loads(grpcurl("-d", query, address, "grpc.health.v1.Health/Check")) == {"status": "SERVING"}
    return None

"""The tables are Delta tables to a reader that nobody here wrote, and hold what the ingest said it stored."""

import json

from deltalake import DeltaTable

from packed import key_of
from stage import BAD_FILE


def table(stage, name):
    return DeltaTable(str(stage.lake / name)).to_pyarrow_table()


def test_every_table_holds_as_many_rows_as_the_ingest_said(stage):
    report = stage.report
    assert report["dead_lettered"] == 2 and report["lake"]["parked_rows"] == 1, report
    assert table(stage, "trails").num_rows == report["lake"]["trails_rows"] > 0
    assert table(stage, "parked").num_rows == report["lake"]["parked_rows"]
    assert table(stage, "dead_letters").num_rows == report["dead_lettered"]
    assert table(stage, "mpxn_devices").num_rows > 0
    assert table(stage, "named_rows").num_rows > 0


def test_the_evidence_adds_up_to_every_record(stage):
    evidence = [json.loads(text) for text in table(stage, "commits")["evidence"].to_pylist()]
    sources = [source for source in evidence if source]
    for field in ("records", "stored", "parked", "dead_lettered"):
        total = sum(source[field] for source in sources)
        assert total == stage.report[field], f"{field}: {total} and {stage.report[field]}"
    parked = {source["name"]: source["parked"] for source in sources if source["parked"]}
    assert parked == {stage.path(BAD_FILE): 2}, "two records of one file wait, in one row"
    ranges = {}
    for source in sources:
        ranges.setdefault(source["source"], []).append((source["from"], source["to"]))
    for name, parts in ranges.items():
        parts.sort()
        assert parts[0][0] == 0, f"{name} starts at {parts[0]}"
        gaps = [(a, b) for a, b in zip(parts, parts[1:]) if a[1] != b[0]]
        assert not gaps, f"{name}: gaps or overlaps {gaps[:3]}"


def test_every_trail_of_the_truth_is_there_once(stage):
    """By its key alone: the fragments of one trail are several rows until they are compacted."""
    rows = table(stage, "trails").to_pylist()
    found = {key_of(row) for row in rows}
    assert len(found) == len(stage.truth), f"{len(found)} keys for {len(stage.truth)} trails"


def test_times_are_utc_and_ids_are_eight_bytes(stage):
    trails = table(stage, "trails")
    assert str(trails.schema.field("received_at").type) == "timestamp[us, tz=UTC]", trails.schema
    assert {len(value) for value in trails["device_id"].to_pylist() if value} == {8}
    received = {value.isoformat(timespec="milliseconds") for value in trails["received_at"].to_pylist()}
    expected = {trail["request_received_at"].replace("Z", "+00:00") for trail in stage.truth}
    assert received == expected

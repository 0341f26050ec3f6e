"""The open copy is read by engines that nobody here wrote, and each counts what the truth and the searches count."""

import collections
import datetime
import json
import os
import pathlib
import random
import subprocess
import time

import duckdb
import duckdb_extension_delta
import polars
import pyarrow.compute
from deltalake import DeltaTable

TABLES = ("audit_trails", "meter_reads")
OF_INVENTORY = ("inventory_devices", "inventory_history")
STATUS = "simplified_transaction_status"
PARTS = 12
METER_READS = {"4.8.1", "4.8.2", "4.8.3", "4.17"}


def with_delta():
    """DuckDB with its Delta extension, as the package of that carries it: no download from elsewhere."""
    connection = duckdb.connect()
    [extension] = pathlib.Path(duckdb_extension_delta.__file__).parent.glob(f"extensions/v{duckdb.__version__}/*.duckdb_extension")
    connection.execute(f"LOAD '{extension}'")
    return connection


def until(holds):
    """Waits for a condition."""
    deadline = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < deadline, "it does not come about"
        time.sleep(0.2)


def export(stage, lake, copy, *arguments):
    printed = stage.run("lake", "export", "--lake", lake, "--to", copy, "--who", "tester", "--format", "json", *arguments)
    return {table["table"]: table for table in json.loads(printed)["tables"]}


def counted(pairs):
    return collections.Counter({str(status): count for status, count in pairs})


def by_pyarrow(folder):
    rows = DeltaTable(str(folder)).to_pyarrow_table(columns=[STATUS])
    return counted((row["values"].as_py(), row["counts"].as_py()) for row in pyarrow.compute.value_counts(rows[STATUS]))


def by_duckdb(folder):
    return counted(with_delta().execute(f"SELECT {STATUS}, count(*) FROM delta_scan('{folder}') GROUP BY 1").fetchall())


def by_polars(folder):
    return counted(polars.scan_delta(str(folder)).group_by(STATUS).len().collect().rows())


ENGINES = {"pyarrow": by_pyarrow, "DuckDB": by_duckdb, "Polars": by_polars}


def of_truth(trails):
    return collections.Counter(trail["status"] for trail in trails)


def test_every_engine_counts_what_the_truth_counts_after_each_of_several_versions(stage):
    lake, copy = stage.path("exported"), pathlib.Path(stage.path("open"))
    files = parts_of(stage)
    stage.run("ingest", files[0].parent / "parties.access.jsonl", "--lake", lake)
    versions = []
    for number, file in enumerate(files):
        stage.run("ingest", file, "--lake", lake, "--batch-rows", 2_000)
        if number in (PARTS // 3, PARTS // 2, PARTS - 1):
            versions.append(export(stage, lake, copy, "--all-parties"))
        if number == PARTS // 2:
            stage.run("compact", "--full", "--lake", lake)
    assert [tables["audit_trails"]["whole"] for tables in versions] == [True, False, False], versions
    expected = {
        "audit_trails": of_truth(stage.truth),
        "meter_reads": of_truth(trail for trail in stage.truth if trail["service_reference_variant"] in METER_READS),
    }
    for table in TABLES:
        for engine, count in ENGINES.items():
            assert count(copy / table) == expected[table], f"{engine} of {table}"
    # Each version of the copy is there, as it was.
    for tables in versions:
        for table in TABLES:
            then = DeltaTable(str(copy / table), version=tables[table]["version"])
            assert then.to_pyarrow_table(columns=["trail_id"]).num_rows == tables[table]["total_rows"], table


def parts_of(stage):
    """The events of the stage's region once more, in files of a twelfth each, in the order in which they were delivered."""
    folder = pathlib.Path(stage.path("events-in-parts"))
    if not folder.exists():
        # The same seed makes the same events, and the same truth.
        stage.run(
            "generate", "--out", folder, "--events", 20_000, "--days", 40, "--disorder", "--one-party", "region", "--encoding", "jsonl"
        )
        [events] = folder.glob("events-*.jsonl")
        lines = events.read_text(encoding="utf-8").splitlines(keepends=True)
        for number in range(PARTS):
            part = lines[number * len(lines) // PARTS:(number + 1) * len(lines) // PARTS]
            (folder / f"part-{number:02}.jsonl").write_text("".join(part), encoding="utf-8")
        events.unlink()
    return sorted(folder.glob("part-*.jsonl"))


def test_a_copy_whose_keeper_is_killed_again_and_again_has_every_row_once(stage):
    seed = int(os.environ.get("GRIDTRAIL_EXPORT_KILLS_SEED", "1"))
    chance, lake, copy = random.Random(seed), stage.path("exported-and-killed"), pathlib.Path(stage.path("open-and-killed"))
    killed = 0
    for file in parts_of(stage):
        stage.run("ingest", file, "--lake", lake, "--batch-rows", 2_000)
        keeper = subprocess.Popen(
            [stage.binary, "lake", "export", "--lake", lake, "--to", copy, "--all-parties", "--who", "tester"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        try:
            keeper.wait(timeout=chance.uniform(0, 0.6))
        except subprocess.TimeoutExpired:
            keeper.kill()
            keeper.wait()
            killed += 1
    export(stage, lake, copy, "--all-parties")
    assert by_pyarrow(copy / "audit_trails") == of_truth(stage.truth), f"GRIDTRAIL_EXPORT_KILLS_SEED={seed}, killed {killed} times"


def test_a_copy_that_follows_a_lake_comes_up_to_it_and_ends_when_it_is_asked_to(stage):
    lake, copy = stage.path("exported-and-followed"), pathlib.Path(stage.path("open-and-followed"))
    files = parts_of(stage)
    stage.run("ingest", files[0], "--lake", lake)
    keeper = subprocess.Popen(
        [stage.binary, "lake", "export", "--lake", lake, "--to", copy, "--all-parties", "--who", "tester", "--tables", "audit_trails",
         "--follow", "--every", "1s"],
    )
    try:
        for file in files[1:]:
            stage.run("ingest", file, "--lake", lake)
        until(lambda: DeltaTable.is_deltatable(str(copy / "audit_trails")) and by_pyarrow(copy / "audit_trails") == of_truth(stage.truth))
        keeper.terminate()
        assert keeper.wait(timeout=60) == 0
    finally:
        keeper.kill()
    assert not (copy / "meter_reads").exists()


def test_a_row_is_plain_columns_with_its_history_as_a_list(stage):
    folder = pathlib.Path(stage.path("open")) / "audit_trails"
    trail = max((trail for trail in stage.truth if trail["command_variant"]), key=lambda trail: trail["status_changes"])
    found = with_delta().execute(
        "SELECT device_id, epoch_ms(service_request_received_at), current_status, len(status_change_history), (status_change_history[1]).state, "
        f"month FROM delta_scan('{folder}') WHERE request_id = ? AND command_variant = ?",
        [trail["request_id"], int(trail["command_variant"])],
    ).fetchall()
    [(device, received, status, entries, state, month)] = found
    assert (device, status, entries) == (trail["device_id"], trail["current_status"], trail["status_changes"]), found
    told = datetime.datetime.fromisoformat(trail["request_received_at"])
    assert received == round(told.timestamp() * 1_000), found
    assert state and month == trail["request_received_at"][:7]
    rows = polars.scan_delta(str(folder)).filter(polars.col("request_id") == trail["request_id"]).collect()
    assert trail["status_changes"] in rows["status_change_history"].list.len().to_list(), rows
    schema = DeltaTable(str(folder)).to_pyarrow_dataset().schema
    assert str(schema.field("service_request_received_at").type) == "timestamp[us, tz=UTC]", schema
    assert str(schema.field("gbcs_transaction_sequence_number").type) == "decimal128(20, 0)", schema


def test_identities_are_unique_and_files_say_which_times_they_have(stage):
    folder = pathlib.Path(stage.path("open")) / "audit_trails"
    query = f"SELECT count(*), count(DISTINCT (trail_id, placed_at)) FROM delta_scan('{folder}')"
    [(rows, distinct)] = with_delta().execute(query).fetchall()
    assert rows == distinct == len(stage.truth)
    actions = DeltaTable(str(folder)).get_add_actions(flatten=True)
    names = actions.schema.names
    assert {"min.placed_at", "max.service_request_received_at", "num_records", "partition.month"} <= set(names), names


def assign(stage, lake, party, user_id):
    """Takes in that a User ID is a Party's."""
    assigned = {"userId": user_id, "party": party, "role": "USER_ROLE_IMPORT_SUPPLIER"}
    event = {"eventId": f"assigned-{party}", "recordedAt": "2020-01-01T00:00:00Z", "assigned": assigned}
    file = pathlib.Path(stage.path(f"{party}.access.jsonl"))
    file.write_text(json.dumps(event) + "\n", encoding="utf-8")
    stage.run("ingest", file, "--lake", lake)


def test_no_copy_is_begun_for_a_party_without_a_user_id(stage):
    lake, copy = stage.path("exported"), pathlib.Path(stage.path("open-for-a-party-to-be"))
    command = [stage.binary, "lake", "export", "--lake", lake, "--to", copy, "--who", "tester", "--party"]
    refused = subprocess.run([*command, "party-to-be"], capture_output=True, text=True, check=False)
    assert refused.returncode == 2 and "party-to-be has no User ID" in refused.stderr, refused
    # The folder is bound to nobody.
    assign(stage, lake, "newcomer", "00-00-00-00-00-00-00-AB")
    subprocess.run([*command, "newcomer"], check=True, stdout=subprocess.DEVNULL)


def test_a_partys_copy_has_what_its_sql_counts(stage):
    user = collections.Counter(trail["user_id"] for trail in stage.truth).most_common(1)[0][0]
    lake, copy = stage.path("exported"), stage.path("open-for-another")
    assign(stage, lake, "another", "00-00-00-00-00-00-00-AA")
    tables = export(stage, lake, copy, "--party", "another")
    assert tables["audit_trails"]["total_rows"] == 0, "no row is of its User ID"
    reads = [trail for trail in stage.truth if trail["service_reference_variant"] in METER_READS]
    assert tables["meter_reads"]["total_rows"] == len(reads), "what is open is open to all"
    of_region = export(stage, lake, stage.path("open-for-the-region"), "--party", "region", "--tables", "audit_trails")
    assert of_region["audit_trails"]["total_rows"] == len(stage.truth), "all User IDs are of one Party"
    token = pathlib.Path(stage.path("export.jwt"))
    stage.write_secret(token.name, stage.token(user).encode())

    def asked(statement):
        printed = stage.run(
            "sql", "--lake", lake, "--key", stage.path("key.pem"), "--token-file", token, "--format", "json", "-c", statement
        )
        return json.loads(printed)

    rows = asked(f"SELECT {STATUS} AS status, count(*) AS trails FROM audit_trails GROUP BY 1")
    by_sql = counted((row["status"], row["trails"]) for row in rows)
    whole = pathlib.Path(stage.path("open")) / "audit_trails"
    by_engine = with_delta().execute(
        f"SELECT {STATUS}, count(*) FROM delta_scan('{whole}') WHERE user_id = ? GROUP BY 1", [user]
    ).fetchall()
    assert by_sql == counted(by_engine) != collections.Counter()
    for table in TABLES:
        columns = asked(f"SELECT column_name FROM information_schema.columns WHERE table_name = '{table}' ORDER BY ordinal_position")
        names = DeltaTable(str(pathlib.Path(stage.path("open")) / table)).schema().fields
        names = [field.name for field in names if field.name not in ("trail_id", "placed_at", "month")]
        assert names == [column["column_name"] for column in columns], table


def sql(stage, lake, statement):
    """What SQL answers, of somebody who may search the inventory."""
    token = pathlib.Path(stage.path("inventory.jwt"))
    if not token.exists():
        stage.write_secret(token.name, stage.token("90-B3-D5-1F-30-02-00-00").encode())
    printed = stage.run("sql", "--lake", lake, "--key", stage.path("key.pem"), "--token-file", token, "--format", "json", "-c", statement)
    return json.loads(printed)


def test_every_engine_counts_the_inventory_as_sql_does_after_each_of_several_versions(stage):
    lake, copy = stage.path("of-inventory/lake"), pathlib.Path(stage.path("open-inventory"))
    folder = pathlib.Path(stage.path("inventory-in-parts"))
    stage.run("generate", "--out", folder, "--events", 4_000, "--days", 20, "--one-party", "region", "--inventory", "--encoding", "jsonl")
    [events] = folder.glob("*.inventory.jsonl")
    lines = events.read_text(encoding="utf-8").splitlines(keepends=True)
    events.unlink()
    # Those who may ask, and the requests that ask for changes, come first: what became of them waits for nothing here.
    stage.run("ingest", folder, "--lake", lake)
    versions, parts = [], 5
    for number in range(parts):
        part = folder / f"part-{number}.inventory.jsonl"
        part.write_text("".join(lines[number * len(lines) // parts:(number + 1) * len(lines) // parts]), encoding="utf-8")
        stage.run("ingest", part, "--lake", lake)
        if number == 2:
            stage.run("compact", "--full", "--lake", lake)
        tables = export(stage, lake, copy, "--all-parties")
        assert set(tables) == {*TABLES, *OF_INVENTORY}, tables
        versions.append(tables)
        for table, column in zip(OF_INVENTORY, ("smi_status", "value")):
            rows = sql(stage, lake, f"SELECT {column} AS of, count(*) AS rows FROM {table} GROUP BY 1")
            by_sql = counted((row["of"], row["rows"]) for row in rows)
            assert by_sql.total() == tables[table]["total_rows"] > 0, table
            query = f"SELECT {column}, count(*) FROM delta_scan('{copy / table}') GROUP BY 1"
            assert counted(with_delta().execute(query).fetchall()) == by_sql, table
            rows = DeltaTable(str(copy / table)).to_pyarrow_table(columns=[column])
            by_arrow = pyarrow.compute.value_counts(rows[column])
            assert counted((row["values"].as_py(), row["counts"].as_py()) for row in by_arrow) == by_sql, table
            by_frame = polars.scan_delta(str(copy / table)).group_by(column).len().collect()
            assert counted(by_frame.rows()) == by_sql, table
    assert [tables["inventory_devices"]["whole"] for tables in versions] == [True] + [False] * (parts - 1), versions
    again = export(stage, lake, copy, "--all-parties")
    assert [again[table]["rows_written"] for table in OF_INVENTORY] == [0, 0], again
    # Each version of the copy is there, as it was.
    for tables in versions:
        then = DeltaTable(str(copy / "inventory_devices"), version=tables["inventory_devices"]["version"])
        assert then.to_pyarrow_table(columns=["device_id"]).num_rows == tables["inventory_devices"]["total_rows"]


def test_a_device_of_the_copy_says_what_sql_says_of_it(stage):
    lake, copy = stage.path("of-inventory/lake"), pathlib.Path(stage.path("open-inventory"))
    [device] = sql(
        stage, lake, "SELECT * FROM inventory_devices WHERE device_type = 'ESME' AND cardinality(premises) > 0 "
        "AND cardinality(associated_with_device_ids) > 0 ORDER BY device_id LIMIT 1"
    )
    rows = polars.scan_delta(str(copy / "inventory_devices")).filter(polars.col("device_id") == device["device_id"]).collect()
    [copied] = rows.to_dicts()
    # JSON may leave out what has no value.
    assert without_nulls(copied) == without_nulls(device), (copied, device)
    found = with_delta().execute(
        f"SELECT premises[1].mpxn, len(associated_with_device_ids) FROM delta_scan('{copy / 'inventory_devices'}') WHERE device_id = ?",
        [device["device_id"]],
    ).fetchall()
    assert found == [(device["premises"][0]["mpxn"], len(device["associated_with_device_ids"]))], found
    for table in OF_INVENTORY:
        columns = sql(stage, lake, f"SELECT column_name FROM information_schema.columns WHERE table_name = '{table}' ORDER BY ordinal_position")
        names = [field.name for field in DeltaTable(str(copy / table)).schema().fields]
        assert names == [column["column_name"] for column in columns], table
    actions = DeltaTable(str(copy / "inventory_devices")).get_add_actions(flatten=True)
    assert {"min.device_id", "max.device_id", "num_records"} <= set(actions.schema.names), actions.schema
    # It is open to all Users: one Party's copy has all of it.
    assign(stage, lake, "another", "00-00-00-00-00-00-00-AA")
    whole = export(stage, lake, copy, "--all-parties", "--tables", ",".join(OF_INVENTORY))
    one = export(stage, lake, stage.path("open-inventory-for-another"), "--party", "another", "--tables", ",".join(OF_INVENTORY))
    assert [one[table]["total_rows"] for table in OF_INVENTORY] == [whole[table]["total_rows"] for table in OF_INVENTORY]


def without_nulls(value):
    match value:
        case dict():
            return {name: without_nulls(one) for name, one in value.items() if one is not None}
        case list():
            return [without_nulls(one) for one in value]
    return value

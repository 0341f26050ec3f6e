#!/usr/bin/env python3
"""The same look-ups by gridtrail and by other engines, on the same rows, in one run.

    peers.py BINARY LAKE DEVICES FROM TO USERS WORK

DEVICES holds a Device ID a line. Each is asked for once to warm up and once to be timed, by each engine in turn: its newest
51 rows whose request was received within the days FROM to TO. The engines are called in this process, PostgreSQL by a Unix
socket, and their rows are fetched as Python values. gridtrail is asked twice: over gRPC, and by look-ups within its own
process. Every engine's answers are held against those of the others. Prints a line for each engine.
"""

import contextlib
import datetime
import glob
import hashlib
import json
import os
import pathlib
import pwd
import shutil
import subprocess
import sys
import time

import pyarrow
import pyarrow.parquet as parquet
from deltalake import DeltaTable

LIMIT = 51
# Answers of the command line that those of the engines are held against: each takes a process.
CHECKED = 200
COLUMNS = (
    "device_id", "received_at", "user_id", "service_reference_variant", "mpxn", "csp_region", "shape", "tail",
)


class Skipped(Exception):
    """An engine that cannot run here, and why."""


def milliseconds(time):
    if time.tzinfo is None:
        time = time.replace(tzinfo=datetime.timezone.utc)
    return int(time.timestamp() * 1000 + 0.5)


def binary(value):
    """Bytes, whatever an engine makes of them."""
    return bytes.fromhex(value) if isinstance(value, str) else bytes(value)


def digest(rows):
    """Of an answer's keys, (time in ms, User, variant), whatever order rows of one time have.

    Where an answer is full, rows of its oldest time may be others just as well, and do not count.
    """
    rows = list(rows)
    if len(rows) == LIMIT:
        oldest = min(time for time, _, _ in rows)
        rows = [row for row in rows if row[0] > oldest]
    keys = sorted((time, binary(user).hex(), variant or "") for time, user, variant in rows)
    return hashlib.sha256(repr(keys).encode()).hexdigest()[:16]


def duckdb_over(files, period, *_):
    import duckdb

    database = duckdb.connect()
    database.execute("SET TimeZone = 'UTC'")
    names = ", ".join(COLUMNS)
    listed = ", ".join(f"'{file}'" for file in files)
    query = f"SELECT {names} FROM read_parquet([{listed}]) {duckdb_condition(period)}"
    return lambda device: duckdb_rows(database, query, device), None


def duckdb_condition(period):
    return (
        f"WHERE device_id = ? AND received_at BETWEEN '{period[0]}' AND '{period[1]}' "
        f"ORDER BY received_at DESC LIMIT {LIMIT}"
    )


def duckdb_rows(database, query, device):
    return [(milliseconds(row[1]), row[2], row[3]) for row in database.execute(query, [device]).fetchall()]


def duckdb_native(files, period, work, _):
    import duckdb

    path = work / "peer.duckdb"
    database = duckdb.connect(str(path))
    database.execute("SET TimeZone = 'UTC'")
    names = ", ".join(COLUMNS)
    listed = ", ".join(f"'{file}'" for file in files)
    database.execute(
        f"CREATE TABLE trails AS SELECT {names} FROM read_parquet([{listed}]) ORDER BY device_id, received_at"
    )
    database.execute("CREATE INDEX by_device ON trails (device_id)")
    database.execute("CHECKPOINT")
    query = f"SELECT {names} FROM trails {duckdb_condition(period)}"
    return lambda device: duckdb_rows(database, query, device), path.stat().st_size


def clickhouse(files, period, work, _):
    try:
        from chdb import session
    except ImportError as error:
        raise Skipped(f"chdb is not installed: {error}") from error

    chdb = session.Session(str(work / "chdb"))
    names = ", ".join(COLUMNS)
    chdb.query("CREATE DATABASE peer")
    chdb.query(
        "CREATE TABLE peer.trails (device_id FixedString(8), received_at DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD), "
        "user_id LowCardinality(String), service_reference_variant LowCardinality(Nullable(String)), "
        "mpxn Nullable(String) CODEC(ZSTD), csp_region LowCardinality(Nullable(String)), "
        "shape LowCardinality(String), tail String CODEC(ZSTD)) "
        "ENGINE = MergeTree ORDER BY (device_id, received_at) SETTINGS index_granularity = 1024"
    )
    for file in files:
        # Rows without a Device are asked for by nobody here.
        chdb.query(
            f"INSERT INTO peer.trails SELECT {names} FROM file('{file}', Parquet) WHERE device_id IS NOT NULL"
        )
    chdb.query("OPTIMIZE TABLE peer.trails FINAL")
    size = chdb.query(
        "SELECT sum(bytes_on_disk) FROM system.parts WHERE database = 'peer' AND active", "CSV"
    )

    def rows(device):
        answer = chdb.query(
            f"SELECT toUnixTimestamp64Milli(received_at), hex(user_id), service_reference_variant, device_id, mpxn, "
            f"csp_region, shape, tail FROM peer.trails WHERE device_id = unhex('{device.hex()}') AND received_at BETWEEN "
            f"'{period[0]}' AND '{period[1]}' ORDER BY received_at DESC LIMIT {LIMIT}",
            "ArrowStream",
        )
        table = pyarrow.ipc.open_stream(answer.bytes()).read_all() if answer.bytes() else None
        if table is None:
            return []
        columns = [table.column(number).to_pylist() for number in range(3)]
        decode = lambda value: value.decode() if isinstance(value, bytes) else value
        return [(time, decode(user), decode(variant)) for time, user, variant in zip(*columns)]

    return rows, int(str(size).strip())


@contextlib.contextmanager
def postgres_server(work):
    """A server of its own, as a user that may run it: PostgreSQL refuses root."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
    if not found:
        raise Skipped("PostgreSQL is not installed (Debian: postgresql)")
    folder = work / "postgres"
    folder.mkdir()
    as_other = []
    if os.geteuid() == 0:
        try:
            owner = pwd.getpwnam("postgres")
        except KeyError as error:
            raise Skipped("there is no user postgres to run it as") from error
        os.chown(folder, owner.pw_uid, owner.pw_gid)
        for parent in folder.parents:
            if parent.is_relative_to(work):
                parent.chmod(0o755)
        as_other = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups"]

    def run(*command):
        done = subprocess.run([*as_other, *command], capture_output=True, text=True)
        if done.returncode:
            raise Skipped(f"PostgreSQL does not start: {done.stderr.strip()[-200:]}")

    bin, data = found[-1], str(folder / "data")
    run(f"{bin}/initdb", "-D", data, "-A", "trust", "-U", "peer")
    options = f"-k {folder} -c listen_addresses='' -c shared_buffers=2GB -c fsync=off -c max_wal_size=8GB"
    run(f"{bin}/pg_ctl", "-D", data, "-w", "-l", str(folder / "log"), "-o", options, "start")
    try:
        yield str(folder)
    finally:
        run(f"{bin}/pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")


def postgres(files, period, work, stack):
    try:
        import psycopg
    except ImportError as error:
        raise Skipped(f"psycopg is not installed: {error}") from error
    socket = stack.enter_context(postgres_server(work))
    database = stack.enter_context(psycopg.connect(host=socket, user="peer", dbname="postgres", autocommit=True))
    database.execute(
        "CREATE TABLE trails (device_id bytea, received_at timestamptz, user_id bytea, "
        "service_reference_variant text, mpxn text, csp_region text, shape bytea, tail bytea)"
    )
    with database.cursor().copy(f"COPY trails ({', '.join(COLUMNS)}) FROM STDIN (FORMAT BINARY)") as copy:
        copy.set_types(["bytea", "timestamptz", "bytea", "text", "text", "text", "bytea", "bytea"])
        for file in files:
            for batch in parquet.ParquetFile(file).iter_batches(columns=list(COLUMNS)):
                for row in zip(*(batch.column(name).to_pylist() for name in COLUMNS)):
                    copy.write_row(row)
    database.execute("CREATE INDEX by_device ON trails (device_id, received_at)")
    database.execute("VACUUM ANALYZE trails")
    size = database.execute("SELECT pg_total_relation_size('trails')").fetchone()[0]
    query = (
        f"SELECT {', '.join(COLUMNS)} FROM trails WHERE device_id = %s AND received_at BETWEEN '{period[0]}Z' AND "
        f"'{period[1]}Z' ORDER BY received_at DESC LIMIT {LIMIT}"
    )
    cursor = database.cursor(binary=True)

    def rows(device):
        found = cursor.execute(query, [device], prepare=True).fetchall()
        return [(milliseconds(row[1]), row[2], row[3]) for row in found]

    return rows, size


def datafusion(files, period, *_):
    try:
        from datafusion import SessionContext
    except ImportError as error:
        raise Skipped(f"datafusion is not installed: {error}") from error

    context = SessionContext()
    context.sql("SET datafusion.execution.parquet.pushdown_filters = true")
    context.register_parquet("trails", str(pathlib.Path(files[0]).parent.parent), table_partition_cols=[("month", pyarrow.string())])

    def rows(device):
        found = context.sql(
            f"SELECT {', '.join(COLUMNS)} FROM trails WHERE device_id = X'{device.hex()}' AND received_at BETWEEN "
            f"TIMESTAMP '{period[0]}Z' AND TIMESTAMP '{period[1]}Z' ORDER BY received_at DESC LIMIT {LIMIT}"
        ).to_arrow_table()
        columns = (found.column(name).to_pylist() for name in COLUMNS[1:4])
        return [(milliseconds(time), user, variant) for time, user, variant in zip(*columns)]

    return rows, None


def measure(rows, devices):
    """Asks for each Device once to warm up and once to be timed."""
    for device in devices:
        rows(device)
    taken, answers = [], []
    for device in devices:
        began = time.perf_counter()
        answer = rows(device)
        taken.append(time.perf_counter() - began)
        answers.append(digest(answer))
    taken.sort()
    at = lambda share: taken[min(len(taken) - 1, int(len(taken) * share))] * 1000
    return at(0.5), at(0.99), answers


class Gridtrail:
    """The real command, over a lake."""

    def __init__(self, binary, lake, devices, period, users):
        self.binary, self.lake, self.devices, self.users = binary, lake, devices, users
        self.period = ("--from", period[0], "--to", period[1])

    def run(self, *arguments):
        return subprocess.run([self.binary, *map(str, arguments)], check=True, stdout=subprocess.PIPE, text=True).stdout

    @contextlib.contextmanager
    def serving(self, work):
        key = ("--key", work / "key.pem", "--public-key-out", work / "key.pub.pem")
        self.token = self.run("token", *key, "--party", "region", "--role", "role-01", "--user-id", self.users, "--ttl", "12h").strip()
        command = [self.binary, "serve", "--lake", self.lake, "--public-key", work / "key.pub.pem", "--no-maintenance", "--plain-text"]
        command += ["--listen", "127.0.0.1:0", "--log", "warn,gridtrail=warn,gridtrail::watching=error"]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.url = server.stdout.readline().strip()
        try:
            yield
        finally:
            server.terminate()
            server.wait()

    def by_grpc(self):
        asked = (
            "bench", "search", "--server", self.url, "--token", self.token, "--devices", self.devices, *self.period,
            "--page-size", LIMIT - 1, "--concurrency", 1, "--each",
        )
        self.run(*asked)
        return json.loads(self.run(*asked))

    def within(self):
        return json.loads(
            self.run(
                "bench", "lookup", "--lake", self.lake, "--devices", self.devices, *self.period, "--user-id", self.users,
                "--rows", LIMIT,
            )
        )

    def answer(self, device):
        """By the command that a person would type."""
        name = "-".join(f"{byte:02X}" for byte in device)
        found = json.loads(
            self.run(
                "search", "audit", "--server", self.url, "--token", self.token, "--device", name, *self.period,
                "--page-size", LIMIT, "--format", "json",
            )
        )
        time = lambda text: milliseconds(datetime.datetime.fromisoformat(text.replace("Z", "+00:00")))
        user = lambda text: bytes.fromhex(text.replace("-", ""))
        return [
            (time(row["serviceRequestReceivedAt"]), user(row.get("userId") or row["dccServiceUserOrganisationId"]), row.get("serviceReferenceVariant"))
            for row in found.get("rows", [])[:LIMIT]
        ]


def show(name, p50, p99, bytes_per_row, note=""):
    print(f"== peers: {name}: p50 {p50:.3f} ms, p99 {p99:.3f} ms, {bytes_per_row:.1f} bytes a row{note}", flush=True)


def live_files(lake, work):
    """The files that the newest version names, in a folder of their own: DataFusion lists a folder."""
    files = []
    for uri in DeltaTable(f"{lake}/trails").file_uris():
        path = pathlib.Path(uri.removeprefix("file://"))
        place = work / "live" / path.parent.name / path.name
        place.parent.mkdir(parents=True, exist_ok=True)
        if path.stat().st_dev == work.stat().st_dev:
            os.link(path, place)
        else:
            shutil.copy(path, place)
        files.append(str(place))
    return files


ENGINES = {
    "DuckDB on the same files": duckdb_over,
    "DuckDB, its own table and index": duckdb_native,
    "ClickHouse (chdb), its own table": clickhouse,
    "PostgreSQL, b-tree": postgres,
    "DataFusion's ListingTable on the same files": datafusion,
}


def main():
    binary, lake, devices, first, last, users, work = sys.argv[1:8]
    work = pathlib.Path(work)
    files = live_files(lake, work)
    count = sum(parquet.ParquetFile(file).metadata.num_rows for file in files)
    size = sum(os.stat(file).st_size for file in files)
    with open(devices, encoding="utf-8") as lines:
        asked = [bytes.fromhex(line.replace("-", "")) for line in lines.read().split()]
    print(f"{count} rows in {len(files)} files, {len(asked)} Devices", flush=True)
    gridtrail = Gridtrail(binary, lake, devices, (first, last), users)
    with gridtrail.serving(work):
        by_grpc = gridtrail.by_grpc()
        expected = [digest(gridtrail.answer(device)) for device in asked[:CHECKED]]
    within = gridtrail.within()
    show("gridtrail over gRPC", by_grpc["p50_ms"], by_grpc["p99_ms"], size / count)
    show("gridtrail within its process", within["p50_ms"], within["p99_ms"], size / count)
    period = (f"{first} 00:00:00.000", f"{last} 23:59:59.999")
    wrong = 0
    for name, engine in ENGINES.items():
        with contextlib.ExitStack() as stack:
            try:
                rows, own = engine(files, period, work, stack)
                p50, p99, answers = measure(rows, asked)
            except Skipped as why:
                print(f"== peers: {name}: skipped, {why}", flush=True)
                continue
        different = sum(a != b for a, b in zip(expected, answers))
        wrong += different
        note = f", {len(expected)} answers checked"
        show(name, p50, p99, (own or size) / count, f"{note}, {different} DIFFERENT" if different else note)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

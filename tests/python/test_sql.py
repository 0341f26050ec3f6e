"""SQL over Arrow Flight with drivers that nobody here wrote: ADBC, and JDBC in two versions, plainly and encrypted."""

import contextlib
import datetime
import fcntl
import json
import os
import pathlib
import pty
import re
import select
import shutil
import stat
import subprocess
import termios
import threading
import time

import adbc_driver_flightsql
import adbc_driver_flightsql.dbapi
import adbc_driver_manager
import pyarrow
import pyarrow.parquet

ROOT = pathlib.Path(__file__).parents[2]
METER_READS = {"4.8.1", "4.8.2", "4.8.3", "4.17"}
# The stage has answers beside whose request was never seen; the truth knows nothing of them.
TRAILS = "SELECT count(*) FROM audit_trails WHERE NOT awaiting_request"
# A million million rows of no table.
ENDLESS = (
    "WITH t AS (SELECT unnest(make_array(1,2,3,4,5,6,7,8,9,10)) AS n), h AS (SELECT a.n FROM t a, t b), "
    "m AS (SELECT a.n FROM h a, h b, h c) SELECT {} FROM m a, m b"
)


@contextlib.contextmanager
def connected(url, token, **options):
    """A connection of ADBC, as docs/sql.md has it."""
    address = url.replace("https://", "grpc+tls://").replace("http://", "grpc+tcp://")
    header = {adbc_driver_flightsql.DatabaseOptions.AUTHORIZATION_HEADER.value: f"Bearer {token}"}
    with adbc_driver_flightsql.dbapi.connect(address, db_kwargs=header | options, autocommit=True) as connection:
        yield connection


def only(cursor, statement, parameters=None):
    cursor.execute(statement, parameters=parameters)
    [[value]] = cursor.fetchall()
    return value


def received(trails):
    """When requests were received, as Python writes times."""
    at = (trail["request_received_at"] for trail in trails)
    return [datetime.datetime.fromisoformat(time.replace("Z", "+00:00")).isoformat() for time in at]


def own(stage):
    """The Device with most trails, its busiest User, and the trails of that User."""
    device, trails = stage.busiest_device()
    user = trails[0]["user_id"]
    return device, user, [trail for trail in stage.truth if trail["user_id"] == user]


def test_adbc_gets_what_the_truth_has(stage):
    device, user, trails = own(stage)
    with connected(stage.url, stage.token(user)) as connection, connection.cursor() as cursor:
        assert only(cursor, TRAILS) == len(trails) > 0
        reads = [trail for trail in stage.truth if trail["service_reference_variant"] in METER_READS]
        assert only(cursor, "SELECT count(*) FROM meter_reads") == len(reads)
        cursor.execute("SELECT * FROM audit_trails WHERE NOT awaiting_request")
        table = cursor.fetch_arrow_table()
        assert table.num_rows == len(trails)
        assert table.schema.field("service_request_received_at").type == pyarrow.timestamp("ms", "+00:00")
        assert set(table["user_id"].to_pylist()) == {user}
        on_device = sum(trail["device_id"] == device for trail in trails)
        by_device = "SELECT count(*) FROM audit_trails WHERE device_id = ?"
        assert only(cursor, by_device, (device,)) == on_device > 0


def test_adbc_prepares_once_and_asks_often(stage):
    _, user, trails = own(stage)
    devices = sorted({trail["device_id"] for trail in trails if trail["device_id"]})[:20]
    with connected(stage.url, stage.token(user)) as connection, connection.cursor() as cursor:
        statement = "SELECT count(*) FROM audit_trails WHERE device_id = ?"
        for device in devices:
            cursor.execute(statement, parameters=(device,))
            assert cursor.fetchone() == (sum(trail["device_id"] == device for trail in trails),)
        try:
            only(cursor, statement, ("x", "y"))
            raise AssertionError("a value too many is no statement")
        except (adbc_driver_manager.Error, ValueError) as error:
            assert "parameter" in str(error) or "values" in str(error), error


def test_adbc_sees_the_tables_that_roles_allow(stage):
    _, user, _ = own(stage)
    with connected(stage.url, stage.token(user)) as connection:
        objects = connection.adbc_get_objects(depth="all").read_all().to_pylist()
        [catalogue] = [found for found in objects if found["catalog_name"] == "gridtrail"]
        [schema] = catalogue["catalog_db_schemas"]
        tables = {table["table_name"]: table for table in schema["db_schema_tables"]}
        assert schema["db_schema_name"] == "public" and {"audit_trails", "meter_reads"} <= set(tables)
        columns = [column["column_name"] for column in tables["audit_trails"]["table_columns"]]
        with connection.cursor() as cursor:
            cursor.execute("SELECT * FROM audit_trails LIMIT 1")
            assert [column[0] for column in cursor.description] == columns
        assert connection.adbc_get_table_types() == ["TABLE"]
        assert connection.adbc_get_info()["vendor_name"] == "gridtrail"
        schema = connection.adbc_get_table_schema("meter_reads")
        assert schema.field("device_id").type == pyarrow.string()


def test_adbc_cancels(stage):
    _, user, _ = own(stage)
    for columns in ("a.n, b.n", "max(a.n + b.n)"):
        with connected(stage.url, stage.token(user)) as connection, connection.cursor() as cursor:
            other = threading.Timer(0.5, cursor.adbc_cancel)
            other.start()
            try:
                cursor.execute(ENDLESS.format(columns))
                for _ in cursor.fetch_record_batch():
                    pass
                raise AssertionError("an endless statement has ended")
            except (adbc_driver_manager.Error, pyarrow.ArrowException, OSError) as error:
                assert "ancel" in str(error), error
            other.join()
            with connection.cursor() as again:
                assert only(again, "SELECT 1") == 1


def test_adbc_is_told_what_is_wrong(stage):
    _, user, _ = own(stage)
    try:
        with connected(stage.url, "none") as connection, connection.cursor() as cursor:
            only(cursor, "SELECT 1")
        raise AssertionError("no token is one")
    except adbc_driver_manager.Error as error:
        assert "UNAUTHENTICATED" in str(error).upper(), error
    with connected(stage.url, stage.token(user)) as connection, connection.cursor() as cursor:
        for statement, word in (
            ("SELECT no_column FROM audit_trails", "no_column"),
            ("DELETE FROM audit_trails", "not allowed"),
            ("SELECT * FROM nowhere", "nowhere"),
        ):
            try:
                cursor.execute(statement)
                raise AssertionError(f"{statement} is none")
            except adbc_driver_manager.Error as error:
                assert word in str(error), error


def test_adbc_speaks_tls_and_takes_a_token_as_a_password(stage):
    _, user, trails = own(stage)
    certificate, key = stage.path("sql-tls.pem"), stage.path("sql-tls.key")
    stage.run("dev-certificate", "--certificate", certificate, "--key", key, "--name", "127.0.0.1")
    anchors = {
        adbc_driver_flightsql.DatabaseOptions.TLS_ROOT_CERTS.value: pathlib.Path(certificate).read_text(encoding="ascii")
    }
    encrypted = ("--tls-certificate", certificate, "--tls-key", key, "--no-maintenance")
    token = stage.token(user)
    with stage.serving(stage.lake, *encrypted, plain=False) as url:
        with connected(url, token, **anchors) as connection, connection.cursor() as cursor:
            assert only(cursor, TRAILS) == len(trails)
        known = {"username": "token", "password": token} | anchors
        address = url.replace("https://", "grpc+tls://")
        with adbc_driver_flightsql.dbapi.connect(address, db_kwargs=known, autocommit=True) as connection:
            with connection.cursor() as cursor:
                assert only(cursor, TRAILS) == len(trails)
        if java := jdbc_is_missing():
            return f"JDBC over TLS skipped: {java}"
        for version in jdbc_versions():
            told = jdbc(version, url, token, "d", f"&tlsRootCerts={certificate}")
            assert told["trails"] == [str(len(trails))], told


def test_pandas_and_polars_take_answers_as_they_are(stage):
    import pandas
    import polars

    _, user, trails = own(stage)
    grouped = "SELECT simplified_transaction_status AS status, count(*) AS trails FROM audit_trails WHERE NOT awaiting_request GROUP BY 1"
    with connected(stage.url, stage.token(user)) as connection:
        frame = pandas.read_sql(grouped, connection)
        assert frame["trails"].sum() == len(trails)
        frame = polars.read_database(grouped, connection)
        assert frame["trails"].sum() == len(trails)
        assert frame.schema["status"] == polars.String
        whole = "SELECT * FROM audit_trails WHERE NOT awaiting_request"
        newest = max(received(trails))
        frame = pandas.read_sql(whole, connection)
        assert frame["service_request_received_at"].max().isoformat() == newest, newest
        frame = polars.read_database(whole, connection)
        assert frame["service_request_received_at"].max().isoformat() == newest, newest


def asked(stage, *arguments, url=None, token=None, typed=None):
    """How `gridtrail sql` ends with a server, and what it prints."""
    if token is None:
        token = stage.token(own(stage)[1])
    stage.write_secret("sql.jwt", token.encode())
    done = subprocess.run(
        [stage.binary, "sql", "--server", url or stage.url, "--token-file", stage.path("sql.jwt"), *map(str, arguments)],
        capture_output=True, text=True, check=False, input=typed,
    )
    return done.returncode, done.stdout, done.stderr


def test_the_command_asks_a_server(stage):
    _, _, trails = own(stage)
    count = str(len(trails))
    assert asked(stage, "-c", TRAILS, "--format", "csv")[:2] == (0, f"count(*)\n{count}\n")
    code, printed, _ = asked(stage, "-c", f"{TRAILS};", "--format", "json")
    assert (code, json.loads(printed)) == (0, [{"count(*)": len(trails)}])
    lines = asked(stage, "-c", "SELECT 1 AS x, NULL AS y UNION ALL SELECT 2, 'a' ORDER BY x", "--format", "jsonl")
    assert lines[:2] == (0, '{"x":1,"y":null}\n{"x":2,"y":"a"}\n'), lines
    assert asked(stage, "-c", "SELECT 1 AS x WHERE false", "--format", "jsonl")[:2] == (0, "")
    code, printed, _ = asked(stage, "-c", "SELECT request_id FROM audit_trails WHERE NOT awaiting_request")
    assert code == 0 and printed.endswith(f"{count} rows\n"), printed[-200:]
    script = pathlib.Path(stage.path("statements.sql"))
    script.write_text("-- two; of them\nSELECT 'a;b' AS x;\nSELECT\n  2 AS y\n", encoding="utf-8")
    assert asked(stage, "-f", script, "--format", "csv")[:2] == (0, "x\na;b\ny\n2\n")
    script.write_text("SELECT 1 AS x; SELECT no_column; SELECT 3 AS z", encoding="utf-8")
    code, printed, errors = asked(stage, "-f", script, "--format", "csv")
    assert (code, printed) == (2, "x\n1\n") and "no_column" in errors, errors
    written = stage.path("answer.parquet")
    assert asked(stage, "-c", "SELECT * FROM audit_trails WHERE NOT awaiting_request", "--parquet", written)[:2] == (0, "")
    assert pyarrow.parquet.read_table(written).num_rows == len(trails)
    assert stat.S_IMODE(os.stat(written).st_mode) == 0o600


def test_the_command_reads_statements_line_by_line(stage):
    typed = "SELECT 1\n AS x; SELECT 2 AS\ny;\n\\d\n\\d meter_reads\n\\format json\nSELECT 3 AS z;\n\\q\nSELECT 4;\n"
    code, printed, errors = asked(stage, "--format", "csv", typed=typed)
    assert code == 0, errors
    assert printed.startswith("x\n1\ny\n2\ntable_name\n"), printed
    assert "audit_trails\n" in printed and "\ndevice_id," in printed and printed.endswith('[\n{"z":3}\n]\n'), printed
    code, printed, errors = asked(stage, "--format", "csv", typed="SELECT no_column; SELECT 1")
    assert (code, printed) == (2, "") and "no_column" in errors, errors


class Terminal:
    """A terminal of its own for a command, and what it shows there."""

    def __init__(self, *command):
        self.keys, its_end = pty.openpty()
        self.shown = ""
        self.process = subprocess.Popen(
            command, stdin=its_end, stderr=its_end, stdout=subprocess.PIPE, text=True,
            # Its keys are signals to it.
            start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(its_end)

    def press(self, keys):
        self.shown = ""
        os.write(self.keys, keys.encode())

    def look(self, seconds=60):
        """Takes in what is shown next, if anything is in time."""
        if select.select([self.keys], [], [], seconds)[0]:
            self.shown += os.read(self.keys, 4096).decode(errors="replace")
            return True
        return False

    def until(self, sign):
        while not re.search(sign, self.shown, re.DOTALL):
            assert self.look(), f"no {sign} in {self.shown}"


def test_the_shell_edits_lines(stage):
    """A word is completed, a line comes back from the history, and a statement that never ends tells its progress and is given up."""
    stage.write_secret("shell.jwt", stage.token(own(stage)[1]).encode())
    history = stage.path("history")
    terminal = Terminal(
        stage.binary, "sql", "--server", stage.url, "--token-file", stage.path("shell.jwt"), "--format", "csv", "--history", history
    )
    answered = r"\d s\r\n.*gridtrail> "
    terminal.until("gridtrail> ")
    terminal.press("sel\t 1 AS x;\r")
    terminal.until(answered)
    terminal.press("\x1b[A\r")
    terminal.until(answered)
    terminal.press(f"{ENDLESS.format('max(a.n + b.n)')};\r")
    # Until it is taken, the key gives up the line; until it runs, nothing: then it is pressed again.
    terminal.until(r";\S*\r\n")
    terminal.until(r"\r\x1b\[2K0 rows so far, [0-9]+ s")
    while "given up" not in terminal.shown:
        terminal.look(0.5)
        os.write(terminal.keys, b"\x03")
        deadline = time.monotonic() + 3
        while "given up" not in terminal.shown and time.monotonic() < deadline:
            terminal.look(0.5)
    terminal.until(r"\r\x1b\[2K[^\n]*given up.*gridtrail> ")
    terminal.press("\\q\r")
    printed, _ = terminal.process.communicate(timeout=60)
    # The columns of the last may have been told before.
    printed = printed.removesuffix("max(a.n + b.n)\n")
    assert (terminal.process.returncode, printed) == (0, "x\n1\nx\n1\n"), (terminal.process.returncode, printed)
    assert pathlib.Path(history).read_text(encoding="utf-8").startswith("SELECT 1 AS x;\nSELECT 1 AS x;\nWITH")


def test_the_command_ends_with_codes_that_scripts_can_read(stage):
    assert asked(stage, "-c", "SELECT no_column FROM audit_trails")[0] == 2
    assert asked(stage, "-c", "DELETE FROM audit_trails")[0] == 2
    assert asked(stage, "-c", "SELECT 1", token="none")[0] == 4
    assert asked(stage, "-c", "SELECT 1", url="http://127.0.0.1:1")[0] == 6
    assert asked(stage, "-c", "SELECT 1", "-f", "x")[0] == 2
    assert asked(stage, "--parquet", stage.path("none.parquet"), typed="SELECT 1;")[0] == 2
    assert asked(stage, "-c", "SELECT 1", "--memory", "64")[0] == 2


def jdbc_is_missing():
    """Why the drivers of JDBC cannot be tried; nothing where they can."""
    if not shutil.which("java"):
        return "there is no Java"
    done = subprocess.run([ROOT / "scripts/jdbc", "fetch"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return f"its drivers cannot be fetched: {done.stderr.strip()}"
    modules = subprocess.run(["java", "--list-modules"], capture_output=True, text=True, check=True).stdout
    return None if "jdk.compiler@" in modules else "Java compiles no sources here"


def jdbc_versions():
    return subprocess.run([ROOT / "scripts/jdbc", "versions"], capture_output=True, text=True, check=True).stdout.split()


def jdbc(version, url, token, device, more=""):
    """What tests/java/FlightSql.java found, by name."""
    encrypted = str(url.startswith("https")).lower()
    address = url.split("//")[1]
    driver = f"jdbc:arrow-flight-sql://{address}/?useEncryption={encrypted}{more}"
    with subprocess.Popen(
        [ROOT / "scripts/jdbc", "run", version, ROOT / "tests/java/FlightSql.java", driver, token, device],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {"TZ": "Europe/London"},
    ) as program:
        try:
            printed, wrong = program.communicate(timeout=120)
        except subprocess.TimeoutExpired:
            # Where it stands still, its threads say.
            threads = subprocess.run(["jstack", str(program.pid)], capture_output=True, text=True, timeout=30, check=False)
            raise AssertionError(f"{version} stands still:\n{threads.stdout}{threads.stderr}") from None
        finally:
            program.kill()
    assert program.returncode == 0, f"{version}: {printed}\n{wrong}"
    told = {}
    for line in printed.splitlines():
        name, _, value = line.partition("\t")
        told.setdefault(name, []).append(value)
    return told


def test_jdbc_does_all_that_programs_do_with_it(stage):
    if missing := jdbc_is_missing():
        return f"skipped: {missing}"
    device, user, trails = own(stage)
    count = str(len(trails))
    on_device = sum(trail["device_id"] == device for trail in trails)
    for version in jdbc_versions():
        told = jdbc(version, stage.url, stage.token(user), device)
        first = {name: values[0] for name, values in told.items()}
        assert (first["product"], first["catalogues"], first["schemas"]) == ("gridtrail", "gridtrail", "public"), told
        tables = first["tables"].split(",")
        assert {"audit_trails", "meter_reads"} <= set(tables) and first["tables by name"] == "audit_trails", told
        assert {"device_id", "status_change_history"} <= set(first["columns"].split(",")), told
        assert first["a column"] == "VARCHAR", told
        assert first["table types"] == "TABLE", told
        assert [first[f"{kind}"] for kind in ("primary keys", "imported keys", "exported keys", "cross reference")] == [""] * 4
        for name in ("trails", "after that", "by password", "in its catalogue"):
            assert first[name] == count, (name, told)
        assert first["trails of the Device before 2100-01-01T00:00:00Z"] == str(on_device), told
        assert first["trails of the Device before 1980-01-01T00:00:00Z"] == "0", told
        modes = dict(mode.split("=") for mode in first["modes"].split(", "))
        assert sum(map(int, modes.values())) == len(trails), told
        assert first["values read"] == str(min(100, len(trails))), told
        assert len(told["cancelled"]) == 2 and all(end.startswith("ended") for end in told["cancelled"]), told
        assert "cancel" not in told, told
        assert len(told["wrong"]) == 5 and all(end.startswith("refused") for end in told["wrong"]), told
        assert "no_column" in told["wrong"][0] and "nowhere" in told["wrong"][1] and "not allowed" in told["wrong"][2], told
        assert first["without a token"].startswith("refused"), told
        assert first["what cannot be told"] == "", told

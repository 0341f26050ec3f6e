"""Asks other engines the questions of this folder, of a copy in plain columns, and gridtrail itself, if it is told where.

    python benches/sql/beside.py COPY [--gridtrail URL --token-file FILE] [--engines duckdb,chdb,datafusion] [--threads N] [--rounds N]

COPY is a Parquet file that the bench `sql` wrote (GRIDTRAIL_BENCH_COPY), or a table of an open copy (`gridtrail lake export`). Engines are DuckDB,
ClickHouse (chdb) and DataFusion's own listing table. gridtrail is asked over Arrow Flight SQL (ADBC), its row filter included.

Prints a line of JSON a question, the median of the rounds in milliseconds by engine and how many rows it answered, and a last line with the
geometric means, and what gridtrail takes of the best of the others. The rounds of all engines alternate. It fails where engines differ in how many rows
they answer.
"""

import argparse
import json
import math
import os
import pathlib
import statistics
import sys
import tempfile
import time

FOLDER = pathlib.Path(__file__).parent


def linked(copy: str, into: str) -> str:
    """The Parquet files of a copy, those that the log of a Delta table names, in a folder that has nothing else. Gives a pattern of them."""
    path = pathlib.Path(copy).resolve()
    if path.is_file():
        files = [str(path)]
    else:
        import deltalake

        files = [uri.removeprefix("file://") for uri in deltalake.DeltaTable(str(path)).file_uris()]
    for number, file in enumerate(files):
        os.symlink(file, f"{into}/{number}.parquet")
    return f"{into}/*.parquet"


def duckdb(files: str, threads: int):
    import duckdb as engine

    asked = engine.connect(config={"threads": threads})
    asked.execute("SET TimeZone = 'UTC'")
    asked.execute(f"CREATE VIEW audit_trails AS SELECT * FROM read_parquet('{files}')")
    return lambda statement: len(asked.execute(statement).fetchall())


def chdb(files: str, threads: int):
    from chdb.session import Session

    asked = Session()
    asked.query(f"CREATE VIEW audit_trails AS SELECT * FROM file('{files}', Parquet)")
    # What ClickHouse calls otherwise. The statements stay as they are.
    words = {
        "TIMESTAMPTZ '": "parseDateTime64BestEffort('",
        "00:00:00Z'": "00:00:00Z', 3, 'UTC')",
        "array_length(": "length(",
        "date_part('epoch', service_response_sent_at)": "toUnixTimestamp64Milli(assumeNotNull(service_response_sent_at)) / 1000",
        "date_part('epoch', service_request_received_at)": "toUnixTimestamp64Milli(assumeNotNull(service_request_received_at)) / 1000",
    }

    def ask(statement: str) -> int:
        for one, other in words.items():
            statement = statement.replace(one, other)
        answer = asked.query(f"{statement} SETTINGS max_threads = {threads}", "JSONCompactEachRow")
        return len(answer.bytes().splitlines())

    return ask


def datafusion(files: str, threads: int):
    import datafusion as engine

    asked = engine.SessionContext(engine.SessionConfig().with_target_partitions(threads))
    asked.register_listing_table("audit_trails", str(pathlib.Path(files).parent) + "/", file_extension=".parquet")
    return lambda statement: sum(batch.num_rows for batch in asked.sql(statement).collect())


def gridtrail(url: str, token_file: str):
    import adbc_driver_flightsql.dbapi as flight
    from adbc_driver_flightsql import DatabaseOptions

    token = pathlib.Path(token_file).read_text().strip()
    connection = flight.connect(
        url.replace("http://", "grpc://"),
        db_kwargs={DatabaseOptions.AUTHORIZATION_HEADER.value: f"Bearer {token}"},
        autocommit=True,
    )

    def ask(statement: str) -> int:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetch_arrow_table().num_rows

    return ask


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("copy")
    arguments.add_argument("--gridtrail", metavar="URL")
    arguments.add_argument("--token-file")
    arguments.add_argument("--engines", default="duckdb,chdb,datafusion")
    arguments.add_argument("--threads", type=int, default=1)
    arguments.add_argument("--rounds", type=int, default=5)
    given = arguments.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        sys.exit(measure(given, linked(given.copy, folder)))


def measure(given: argparse.Namespace, files: str) -> str | None:
    """Asks everything of everybody. Gives what went wrong."""
    known = {"duckdb": duckdb, "chdb": chdb, "datafusion": datafusion}
    engines = {name: known[name](files, given.threads) for name in given.engines.split(",") if name}
    if given.gridtrail:
        engines["gridtrail"] = gridtrail(given.gridtrail, given.token_file)

    medians: dict[str, list[float]] = {name: [] for name in engines}
    differ = False
    for question in sorted(FOLDER.glob("*.sql")):
        statement = question.read_text()
        rows = {name: ask(statement) for name, ask in engines.items()}
        took: dict[str, list[float]] = {name: [] for name in engines}
        for _ in range(given.rounds):
            for name, ask in engines.items():
                began = time.perf_counter()
                ask(statement)
                took[name].append((time.perf_counter() - began) * 1_000)
        ms = {name: round(statistics.median(times), 1) for name, times in took.items()}
        for name, value in ms.items():
            medians[name].append(value)
        differ |= len(set(rows.values())) != 1
        print(json.dumps({"question": question.stem, "ms": ms, "rows": rows}), flush=True)
    means = {name: round(math.exp(statistics.fmean(map(math.log, values))), 1) for name, values in medians.items()}
    last: dict[str, object] = {"geometric_mean_ms": means}
    if "gridtrail" in means and len(means) > 1:
        best = min(value for name, value in means.items() if name != "gridtrail")
        last["of_the_best"] = round(means["gridtrail"] / best, 2)
    print(json.dumps(last))
    return "engines answered different numbers of rows" if differ else None


if __name__ == "__main__":
    main()

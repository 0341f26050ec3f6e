"""Carries out the SQL of a report in DuckDB, over an open copy, for one User ID: what the report takes without packed rows and without a row filter.

    python benches/reports/beside.py COPY USER_ID FROM UNTIL DEVICE_ID [--threads N] [--memory MIB]

COPY is the table `audit_trails` of an open copy (`gridtrail lake export`), FROM and UNTIL the first day and the day after the last; monthly
transactions are those of the month of the first day. Only reports
over `audit_trails` are asked: what pertains to a User in the inventory is worked out by gridtrail, and is in no copy. The statements are those of
`schemas/reports`; what DuckDB writes otherwise is replaced.

Prints a line of JSON a report: how many rows it has and the seconds that it took.
"""

import argparse
import datetime
import json
import pathlib
import re
import time

import duckdb
import deltalake

REPORTS = pathlib.Path(__file__).resolve().parents[2] / "schemas" / "reports"
NAMES = ["monthly-transactions", "load-balance", "firmware-activations", "device-transactions"]
# What the engine of gridtrail and DuckDB write differently.
WORDS = [
    (r"CAST\(CAST\(\$(\w+) AS TIMESTAMPTZ\) AS BIGINT\) / 1000000", r"epoch_ms(CAST($\1 AS TIMESTAMPTZ))"),
    (r"CAST\((service_request_received_at|service_response_sent_at|execution_at) AS BIGINT\)", r"epoch_ms(\1)"),
    (r"THEN 1800000 ELSE 3600000 END", "THEN CAST(1800000 AS BIGINT) ELSE CAST(3600000 AS BIGINT) END"),
    (r"\(told_ms - first_ms\) / slot_ms", "(told_ms - first_ms) // slot_ms"),
    (r"to_timestamp_millis\((.*?)\) AS TIMESTAMPTZ", r"to_timestamp((\1) / 1000.0) AS TIMESTAMPTZ"),
    (r"last_value\((\w+) ORDER BY", r"last(\1 ORDER BY"),
    (r"cardinality\(", "len("),
    (r"\bcolumn1\b", "col0"),
]


def asked(report: str, values: dict[str, str]) -> str:
    statement = (REPORTS / report / "report.sql").read_text()
    for one, other in WORDS:
        statement = re.sub(one, other, statement)
    given = {name: f"'{value}'" for name, value in values.items()}
    return re.sub(r"\$(\w+)", lambda name: given.get(name[1], "NULL"), statement)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("copy")
    arguments.add_argument("user_id")
    arguments.add_argument("begin")
    arguments.add_argument("until")
    arguments.add_argument("device_id")
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--memory", type=int, default=1024)
    given = arguments.parse_args()

    engine = duckdb.connect(config={"threads": given.threads, "memory_limit": f"{given.memory}MiB"})
    engine.execute("SET TimeZone = 'UTC'")
    files = [uri.removeprefix("file://") for uri in deltalake.DeltaTable(given.copy).file_uris()]
    engine.execute(f"CREATE VIEW audit_trails AS SELECT * FROM read_parquet({files!r}) WHERE user_id = '{given.user_id}'")
    month = datetime.date.fromisoformat(given.begin).replace(day=1)
    days = {
        "from_start": given.begin,
        "until_end": given.until,
        "month_start": month.isoformat(),
        "month_end": (month + datetime.timedelta(days=31)).replace(day=1).isoformat(),
    }
    # Days and months of reports are those of the United Kingdom.
    period = {name: f"{day} 00:00:00 Europe/London" for name, day in days.items()} | {"slot": "hour"}
    for report in NAMES:
        values = period | ({"device_id": given.device_id} if report == "device-transactions" else {})
        began = time.perf_counter()
        rows = len(engine.execute(asked(report, values)).fetchall())
        print(json.dumps({"report": report, "rows": rows, "seconds": round(time.perf_counter() - began, 2)}), flush=True)


if __name__ == "__main__":
    main()

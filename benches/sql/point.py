"""How long one prepared statement takes that asks for the rows of one Device, over Arrow Flight SQL (ADBC), warm.

    python benches/sql/point.py URL TOKEN-FILE METERS [--count N] [--newest ROWS]
    python benches/sql/point.py URL TOKEN-FILE --heavy SECONDS

METERS has a Device ID a line. Prints the median, the 99th percentile and how many rows an answer had as a line of JSON. With --heavy it asks a
question that goes through all rows, again and again, and prints how often it was answered.
"""

import argparse
import json
import pathlib
import statistics
import time

import adbc_driver_flightsql.dbapi as flight
from adbc_driver_flightsql import DatabaseOptions

HEAVY = "SELECT device_id, count(DISTINCT service_reference_variant), max(service_request_received_at) FROM audit_trails GROUP BY 1 ORDER BY 2 DESC LIMIT 10"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("url")
    arguments.add_argument("token_file")
    arguments.add_argument("meters", nargs="?")
    arguments.add_argument("--count", type=int, default=2_000)
    arguments.add_argument("--newest", type=int, default=50)
    arguments.add_argument("--heavy", type=float)
    given = arguments.parse_args()
    token = pathlib.Path(given.token_file).read_text().strip()
    header = {DatabaseOptions.AUTHORIZATION_HEADER.value: f"Bearer {token}"}
    with flight.connect(given.url.replace("http://", "grpc://"), db_kwargs=header, autocommit=True) as connection:
        with connection.cursor() as cursor:
            if given.heavy:
                answered, until = 0, time.monotonic() + given.heavy
                while time.monotonic() < until:
                    cursor.execute(HEAVY)
                    cursor.fetch_arrow_table()
                    answered += 1
                print(json.dumps({"answered": answered}))
                return
            meters = pathlib.Path(given.meters).read_text().split()
            meters = meters[:: max(1, len(meters) // given.count)][: given.count]
            statement = f"SELECT * FROM audit_trails WHERE device_id = ? ORDER BY service_request_received_at DESC LIMIT {given.newest}"
            took, rows = [], 0
            # Twice: the second time everything is warm.
            for is_timed in (False, True):
                for meter in meters:
                    began = time.perf_counter()
                    cursor.execute(statement, [meter])
                    found = cursor.fetch_arrow_table().num_rows
                    if is_timed:
                        took.append((time.perf_counter() - began) * 1_000)
                        rows += found
            at = statistics.quantiles(took, n=100)
            print(json.dumps({"p50_ms": round(at[49], 2), "p99_ms": round(at[98], 2), "rows": round(rows / len(took), 1)}))


if __name__ == "__main__":
    main()

"""Asks DuckDB the questions of this folder, of a copy in plain columns that the bench `sql` wrote (GRIDTRAIL_BENCH_COPY).

    python benches/sql/beside.py COPY.parquet [THREADS] [ROUNDS]

Prints a line of JSON a question: its name, the median of the rounds in milliseconds, and how many rows it answered.
"""

import json
import pathlib
import statistics
import sys
import time

import duckdb


def main() -> None:
    copy = sys.argv[1]
    threads = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 7
    asked = duckdb.connect(config={"threads": threads})
    asked.execute("SET TimeZone = 'UTC'")
    asked.execute(f"CREATE VIEW audit_trails AS SELECT * FROM read_parquet('{copy}')")
    for question in sorted(pathlib.Path(__file__).parent.glob("*.sql")):
        statement = question.read_text()
        rows = len(asked.execute(statement).fetchall())
        took = []
        for _ in range(rounds):
            began = time.perf_counter()
            asked.execute(statement).fetchall()
            took.append((time.perf_counter() - began) * 1_000)
        print(json.dumps({"question": question.stem, "ms": round(statistics.median(took), 2), "rows": rows}))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Counts an open copy by ClickHouse, in this process, and by Spark with Delta: by status, and entries of histories. Prints a line each.

    read_open_copy.py COPY JARS

COPY is the folder of a copy, JARS one with the jars of Delta for Spark.
"""

import os
import pathlib
import sys

STATUS = "simplified_transaction_status"


def by_clickhouse(folder):
    import chdb

    # It reads what lies below the working folder.
    os.chdir(folder.parent)
    query = f"SELECT {STATUS}, count(), sum(length(status_change_history)) FROM deltaLakeLocal('{folder}') GROUP BY 1"
    lines = str(chdb.query(query, "TSV")).splitlines()
    return {status: (int(rows), int(entries)) for status, rows, entries in (line.split("\t") for line in lines)}


def by_spark(folder, jars):
    from pyspark.sql import SparkSession

    session = (
        SparkSession.builder.master("local[2]")
        .config("spark.jars", ",".join(str(jar) for jar in jars.glob("*.jar")))
        .config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
        .config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("ERROR")
    rows = session.sql(
        f"SELECT {STATUS}, count(*), sum(size(status_change_history)) FROM delta.`{folder}` GROUP BY 1"
    ).collect()
    session.stop()
    return {row[0]: (row[1], row[2]) for row in rows}


def by_deltalake(folder):
    import pyarrow.compute
    from deltalake import DeltaTable

    found = {}
    table = DeltaTable(str(folder)).to_pyarrow_table(columns=[STATUS, "status_change_history"])
    lengths = pyarrow.compute.list_value_length(table["status_change_history"])
    for status, entries in zip(table[STATUS].to_pylist(), lengths.to_pylist()):
        rows, sum_of_entries = found.get(status, (0, 0))
        found[status] = (rows + 1, sum_of_entries + entries)
    return found


def main():
    copy, jars = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
    failed = 0
    for table in ("audit_trails", "meter_reads"):
        folder = copy / table
        expected = by_deltalake(folder)
        for engine, found in (("ClickHouse", by_clickhouse(folder)), ("Spark", by_spark(folder, jars))):
            fits = found == expected
            failed += not fits
            rows = sum(rows for rows, _ in found.values())
            print(f"{engine} counts {rows} rows of {table}: {'as pyarrow does' if fits else f'{found} and not {expected}'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

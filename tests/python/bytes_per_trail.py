#!/usr/bin/env python3
"""Bytes per row of a lake's trails table, by column, from the files' own metadata: bytes_per_trail.py LAKE TRAILS"""

import collections
import sys

import pyarrow.parquet as parquet
from deltalake import DeltaTable

files = DeltaTable(f"{sys.argv[1]}/trails").file_uris()
trails = int(sys.argv[2])
columns = collections.Counter()
size = rows = 0
for path in files:
    file = parquet.ParquetFile(path.removeprefix("file://"))
    rows += file.metadata.num_rows
    with open(path.removeprefix("file://"), "rb") as raw:
        size += raw.seek(0, 2)
    for group in range(file.metadata.num_row_groups):
        for number in range(file.metadata.num_columns):
            chunk = file.metadata.row_group(group).column(number)
            columns[chunk.path_in_schema] += chunk.total_compressed_size
columns["footers, indexes, bloom filters"] = size - sum(columns.values())
for name, held in columns.most_common():
    print(f"  {held / trails:8.2f}  {name}")
print(f"bytes per trail: {size / trails:.1f} ({size} bytes, {trails} trails, {rows} rows in {len(files)} runs)")

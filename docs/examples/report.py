#!/usr/bin/env python3
"""Have a gridtrail server make one of the standard reports, or say which there are.

    pip install -r requirements.txt
    report.py 127.0.0.1:8471 @me.jwt
    report.py 127.0.0.1:8471 @me.jwt monthly-transactions --param month=2026-03
    report.py 127.0.0.1:8471 @me.jwt monthly-transactions --param month=2026-03 --form xlsx --output march.xlsx

Connections, tokens and exit codes are those of search.py. A file that was not sent to its end, or came otherwise than it was sent, is left
out, with exit code 1.
"""

import argparse
import hashlib
import pathlib
import sys

import grpc

from search import Service, channel_to, explain


def cell_of(cell):
    """A cell as a text: it has one field, whose name is its type, or none."""
    kind = cell.WhichOneof("value")
    if kind is None:
        return ""
    value = getattr(cell, kind)
    return value.ToJsonString() if kind == "time" else str(value)


def run(service, arguments):
    """Takes a report message by message; it is whole when its last one has come."""
    parameters = dict(pair.split("=", 1) for pair in arguments.param)
    fields = {
        "name": arguments.report,
        "parameters": parameters,
        "user_ids": arguments.user_id,
        "form": f"REPORT_FORM_{arguments.form.upper()}",
    }
    data = bytearray()
    for message in service.stream("Run", **fields):
        part = message.WhichOneof("part")
        if part == "about":
            about = message.about
            print(f"{about.title}, version {about.version}: {', '.join(about.users)}", file=sys.stderr)
            print(f"complete up to {about.complete_up_to.ToJsonString()}, made at {about.made_at.ToJsonString()}", file=sys.stderr)
            if arguments.form == "rows":
                print(*(column.name for column in about.columns), sep="\t")
        elif part == "progress":
            print(f"{message.progress.rows} rows after {message.progress.elapsed.ToJsonString()}", file=sys.stderr)
        elif part == "rows":
            for row in message.rows.rows:
                print(*map(cell_of, row.cells), sep="\t")
        elif part == "data":
            data += message.data
        elif part == "end":
            print(f"{message.end.row_count} rows", file=sys.stderr)
            if arguments.form == "rows":
                return 0
            if hashlib.sha256(data).hexdigest() != message.end.sha256:
                break
            if arguments.output:
                pathlib.Path(arguments.output).write_bytes(data)
            else:
                sys.stdout.buffer.write(data)
            return 0
    print("the report is not whole", file=sys.stderr)
    return 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("address", help="the line that `gridtrail serve` prints, or host:port")
    parser.add_argument("token", help="a token, or @FILE that holds one (arguments are seen by other users)")
    parser.add_argument("report", nargs="?", help="the report's name; without it, list them")
    parser.add_argument("--param", metavar="NAME=VALUE", action="append", default=[], help="a parameter of the report")
    parser.add_argument("--user-id", metavar="EUI-64", action="append", default=[], help="only rows of this User ID")
    parser.add_argument("--form", choices=["rows", "csv", "json", "parquet", "xlsx", "html"], default="rows")
    parser.add_argument("--output", metavar="FILE", help="the file to write, in place of standard output")
    parser.add_argument("--anchors", metavar="FILE", help="trust anchors of the server's certificate, in PEM")
    parser.add_argument("--certificate", metavar="FILE", help="a certificate to show, in PEM, where the server wants one")
    parser.add_argument("--key-file", metavar="FILE", help="its private key, in PEM")
    arguments = parser.parse_args()

    token = arguments.token
    if token.startswith("@"):
        with open(token[1:], encoding="ascii") as file:
            token = file.read().strip()
    with channel_to(arguments) as channel:
        try:
            service = Service(channel, token, "ReportService")
            if arguments.report:
                return run(service, arguments)
            for report in service.call("List").get("reports", []):
                print(report["name"], report["version"], report["title"], sep="\t")
        except grpc.RpcError as error:
            explain(error)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

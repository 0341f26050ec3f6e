#!/usr/bin/env python3
"""Search a gridtrail server and print the rows, one a line, fields separated by tabs.

    pip install -r requirements.txt
    search.py 127.0.0.1:8471 @me.jwt 00-DB-12-34-56-78-90-A0
    search.py 127.0.0.1:8471 @me.jwt 1217290354420 --meter-reads --from 2026-03-01 --to 2026-03-31
    search.py 127.0.0.1:8471 @me.jwt REFERENCE --get
    search.py https://gridtrail.example:8471 @me.jwt 00-DB-12-34-56-78-90-A0 --anchors dccki.pem

No generated code is needed: the server describes its services by reflection. An address that begins with https:// is spoken to in TLS, and
--anchors names who vouches for the server's certificate. Exit code 1 means that the server refused or failed; its reason goes to
standard error.
"""

import argparse
import re
import sys

import grpc
from google.protobuf import descriptor_pool, json_format, message_factory
from google.rpc import error_details_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from grpc_status import rpc_status

PACKAGE = "gridtrail.query.v1"


class Service:
    """One service of a server, by what reflection says of it."""

    def __init__(self, channel, token, name):
        pool = descriptor_pool.DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
        self.channel = channel
        self.metadata = [("authorization", f"Bearer {token}")]
        self.service = pool.FindServiceByName(f"{PACKAGE}.{name}")

    def call(self, method_name, **fields):
        """The answer of a call that has one message."""
        request, call = self._prepared(method_name, self.channel.unary_unary, fields)
        return json_format.MessageToDict(call(request, metadata=self.metadata, timeout=30))

    def stream(self, method_name, **fields):
        """The messages of a call whose answer has many."""
        request, call = self._prepared(method_name, self.channel.unary_stream, fields)
        return call(request, metadata=self.metadata)

    def _prepared(self, method_name, kind, fields):
        method = self.service.methods_by_name[method_name]
        request = message_factory.GetMessageClass(method.input_type)(**fields)
        response_class = message_factory.GetMessageClass(method.output_type)
        return request, kind(
            f"/{self.service.full_name}/{method_name}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=response_class.FromString,
        )


def channel_to(arguments):
    """A connection in the way that the address says: plain, or encrypted."""
    address = arguments.address
    if not address.startswith("https://"):
        return grpc.insecure_channel(address.removeprefix("http://"))

    def read(path):
        with open(path, "rb") as file:
            return file.read()

    credentials = grpc.ssl_channel_credentials(
        root_certificates=read(arguments.anchors) if arguments.anchors else None,
        private_key=read(arguments.key_file) if arguments.key_file else None,
        certificate_chain=read(arguments.certificate) if arguments.certificate else None,
    )
    return grpc.secure_channel(address.removeprefix("https://"), credentials)


def key_field(text):
    """Which field of a search a key belongs to, told by its form."""
    if text.startswith("uprn:"):
        return {"uprn": text.removeprefix("uprn:")}
    if re.fullmatch(r"[0-9]{6,10}|[0-9]{13}", text):
        return {"mpxn": text}
    return {"device_id": text}


def print_row(row, details):
    print(
        row.get("serviceRequestReceivedAt", "-"),
        row.get("serviceResponseSentAt", "-"),
        row["dccServiceUserOrganisationId"],
        row.get("deviceId", "-"),
        row.get("mpxn", "-"),
        row.get("serviceReferenceVariant", "-"),
        row["simplifiedTransactionStatus"],
        row["details"]["currentStatus"],
        row["reference"],
        sep="\t",
    )
    if details:
        for change in row["details"].get("statusChangeHistory", []):
            print("", change["at"], change["state"], change.get("responseCode", "-"), sep="\t")


def search(service, arguments):
    fields = key_field(arguments.key) | {
        "service_reference_variants": arguments.srv,
        "from": getattr(arguments, "from"),
        "to": arguments.to,
        "page_size": arguments.page_size,
    }
    page_token = ""
    while True:
        page = service.call("Search", **fields, page_token=page_token)
        for row in page.get("rows", []):
            print_row(whole_history(service, row) if arguments.details else row, arguments.details)
        page_token = page.get("nextPageToken", "")
        if not page_token or not arguments.all:
            break
    print(
        f"complete up to {page.get('completeUpTo', 'an unknown time')}, version {page['snapshotVersion']}, "
        f"{page['deviceResolution']}" + (", more pages follow" if page_token else ""),
        file=sys.stderr,
    )


def whole_history(service, row):
    """The row with the rest of its Status Change History, where that is longer than an answer may be."""
    details = row["details"]
    while token := details.pop("nextHistoryPageToken", ""):
        rest = service.call("Get", reference=row["reference"], history_page_token=token)["row"]["details"]
        details["statusChangeHistory"] += rest["statusChangeHistory"]
        details |= {"nextHistoryPageToken": rest.get("nextHistoryPageToken", "")}
    return row


def explain(error):
    """The server's plain message, and what its details add."""
    print(f"{error.code().name}: {error.details()}", file=sys.stderr)
    status = rpc_status.from_call(error)
    for detail in status.details if status else []:
        for known in (error_details_pb2.ErrorInfo, error_details_pb2.BadRequest, error_details_pb2.RetryInfo):
            message = known()
            if detail.Unpack(message):
                print(json_format.MessageToJson(message, indent=None), file=sys.stderr)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("address", help="the line that `gridtrail serve` prints, or host:port")
    parser.add_argument("token", help="a token, or @FILE that holds one (arguments are seen by other users)")
    parser.add_argument("key", help="a Device ID, an MPxN, uprn:NUMBER, or with --get the reference of a row")
    parser.add_argument("--meter-reads", action="store_true", help="meter reads of all Users, not your audit trail")
    parser.add_argument("--get", action="store_true", help="print the one row of a reference")
    parser.add_argument("--srv", action="append", default=[], help="a Service Reference Variant; may be repeated")
    parser.add_argument("--from", default="", help="the first date or RFC 3339 instant, UTC")
    parser.add_argument("--to", default="", help="the last date or RFC 3339 instant, UTC")
    parser.add_argument("--page-size", type=int, default=0, help="rows on a page, 1 to 1000")
    parser.add_argument("--all", action="store_true", help="fetch every page")
    parser.add_argument("--anchors", metavar="FILE", help="trust anchors of the server's certificate, in PEM; left out: the system's")
    parser.add_argument("--certificate", metavar="FILE", help="a certificate to show, in PEM, where the server wants one")
    parser.add_argument("--key-file", metavar="FILE", help="its private key, in PEM")
    parser.add_argument("--details", action="store_true", help="print the Status Change History too")
    arguments = parser.parse_args()

    token = arguments.token
    if token.startswith("@"):
        with open(token[1:], encoding="ascii") as file:
            token = file.read().strip()
    with channel_to(arguments) as channel:
        try:
            name = "MeterReadService" if arguments.meter_reads else "AuditTrailService"
            service = Service(channel, token, name)
            if arguments.get:
                row = service.call("Get", reference=arguments.key)["row"]
                print_row(whole_history(service, row), details=True)
            else:
                search(service, arguments)
        except grpc.RpcError as error:
            explain(error)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Search the Smart Metering Inventory of a gridtrail server: a Device a line, fields separated by tabs.

    pip install -r requirements.txt
    inventory.py 127.0.0.1:8471 @me.jwt --mpxn 1217290354420
    inventory.py 127.0.0.1:8471 @me.jwt --postcode 'SW1A 1AA' --property 'Rose Cottage' --include-not-commissioned
    inventory.py 127.0.0.1:8471 @me.jwt --device 00-DB-12-34-56-78-90-A0

With --device alone, the Device is shown with those of groups II to IV around it (Section H8.16(a)(i)). As search.py, it needs no generated code.
Exit code 1 means that the server refused or failed; its reason goes to standard error.
"""

import argparse
import sys

import grpc

from search import Service, channel_to, explain


def where(device):
    """The meter points of a Device, each with its postcode."""
    return "; ".join(f"{one['mpxn']} {one.get('postcode', '-')}" for one in device.get("premises", [])) or "-"


def print_device(device, *more):
    print(device["deviceId"], device.get("deviceType", "-"), device.get("smiStatus", "-"), where(device), *more, sep="\t")


def pages(service, method, **fields):
    """Every page of an answer."""
    page_token = ""
    while True:
        page = service.call(method, **fields, page_token=page_token)
        yield page
        page_token = page.get("nextPageToken", "")
        if not page_token:
            return


def search(service, keys, box):
    for page in pages(service, "Search", **keys, include_not_commissioned=box):
        for device in page.get("devices", []):
            print_device(device, device.get("foundThroughDeviceId", "-"))
    return page


def whole(service, device_id, box):
    for page in pages(service, "GetDevice", device_id=device_id, include_not_commissioned=box):
        for found in page.get("devices", []):
            print_device(found["device"], "I")
            for period in found["device"].get("smiStatusHistory", []):
                print("", period["from"], period["smiStatus"], sep="\t")
            for other in found.get("others", []):
                print_device(other["device"], ", ".join(group.removeprefix("DEVICE_GROUP_") for group in other["groups"]))
    return page


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("address", help="the line that `gridtrail serve` prints, or host:port")
    parser.add_argument("token", help="a token, or @FILE that holds one (arguments are seen by other users)")
    parser.add_argument("--mpxn", default="")
    parser.add_argument("--device", default="", dest="device_id", help="a Device ID")
    parser.add_argument("--uprn", default="")
    parser.add_argument("--postcode", default="")
    parser.add_argument("--property", default="", dest="property_filter", help="with --postcode: the name or number of the property")
    parser.add_argument("--include-not-commissioned", action="store_true", dest="box", help="also Devices of another SMI Status")
    parser.add_argument("--anchors", metavar="FILE", help="trust anchors of the server's certificate, in PEM; left out: the system's")
    parser.add_argument("--certificate", metavar="FILE", help="a certificate to show, in PEM, where the server wants one")
    parser.add_argument("--key-file", metavar="FILE", help="its private key, in PEM")
    arguments = parser.parse_args()

    names = ("mpxn", "device_id", "uprn", "postcode", "property_filter")
    keys = {name: getattr(arguments, name) for name in names if getattr(arguments, name)}
    token = arguments.token
    if token.startswith("@"):
        with open(token[1:], encoding="ascii") as file:
            token = file.read().strip()
    with channel_to(arguments) as channel:
        try:
            service = Service(channel, token, "InventoryService")
            is_one = list(keys) == ["device_id"]
            page = whole(service, arguments.device_id, arguments.box) if is_one else search(service, keys, arguments.box)
            print(f"as at {page['asAt']}, complete up to {page.get('completeUpTo', 'an unknown time')}", file=sys.stderr)
        except grpc.RpcError as error:
            explain(error)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Ask a gridtrail server for a Communications Hub, and print its two tables.

    pip install -r requirements.txt
    hub.py 127.0.0.1:8471 @me.jwt 02-1D-30-83-F3-E7-83-C0

Connections, tokens and exit codes are those of search.py.
"""

import argparse
import re
import sys

import grpc

from search import Service, channel_to, explain


def words(name):
    """A name in JSON as words: smwanConnectivityStatus is `Smwan connectivity status`."""
    return re.sub(r"(?<=[a-z])([A-Z])", lambda found: " " + found.group(1).lower(), name).capitalize()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("address", help="the line that `gridtrail serve` prints, or host:port")
    parser.add_argument("token", help="a token, or @FILE that holds one (arguments are seen by other users)")
    parser.add_argument("hub", help="the Device ID of a Communications Hub Function")
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
            answer = Service(channel, token, "HubService").call("Get", device_id=arguments.hub)
        except grpc.RpcError as error:
            explain(error)
            return 1
    for command in answer.get("lastCommands", []):
        print(command["at"], command["successStatus"], sep="\t")
    for name, field in answer.get("csp", {}).items():
        print(words(name), field.get("text", "unknown"), sep="\t")
    print("may communicate" if answer.get("mayCommunicate") else "may not communicate", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())

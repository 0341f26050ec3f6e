#!/usr/bin/env python3
"""An Identity Provider that nobody here wrote, pysaml2, and the browser of somebody who logs in with it.

    identity_provider.py metadata --key KEY --certificate PEM
        prints the metadata that `gridtrail` enrols
    identity_provider.py login BASE_URL --key KEY --certificate PEM [--name-id ...] [--role ...] [--org-id ...]
        opens BASE_URL/saml/login, answers the request in the page's form, posts the answer to where the service
        provider's metadata say, and prints what came of it: {"status", "location", "cookies"}

Nothing is sent to the address in the form: this program is that address. Needs pysaml2 (tests/python/requirements.txt)
and xmlsec1.
"""

import argparse
import base64
import datetime
import html.parser
import json
import pathlib
import sys
import tempfile
import urllib.parse

import requests
import saml2
from saml2 import saml, xmldsig
from saml2.config import IdPConfig
from saml2.metadata import entity_descriptor
from saml2.server import Server

SMARTCARD = "urn:oasis:names:tc:SAML:2.0:ac:classes:SmartcardPKI"


def configuration(args, metadata_files):
    return {
        "entityid": args.entity_id,
        "key_file": args.key,
        "cert_file": args.certificate,
        "xmlsec_binary": args.xmlsec1,
        "metadata": {"local": metadata_files},
        "contact_person": [
            {"given_name": "Ada", "sur_name": "Byron", "email_address": ["idp@supplier.example"], "contact_type": "technical"}
        ],
        "organization": {"name": "Supplier", "display_name": "Supplier", "url": "https://supplier.example"},
        "service": {
            "idp": {
                "name": "An Identity Provider of the tests",
                "endpoints": {"single_sign_on_service": [(args.sso_url, saml2.BINDING_HTTP_POST)]},
                "name_id_format": [saml.NAMEID_FORMAT_PERSISTENT],
                "want_authn_requests_signed": False,
                "sign_assertion": True,
                "sign_response": False,
                "policy": {"default": {"lifetime": {"minutes": 15}, "attribute_restrictions": None}},
            }
        },
    }


class LoginForm(html.parser.HTMLParser):
    """The one form of the login page, as a browser reads it."""

    def __init__(self, page):
        super().__init__()
        self.action, self.fields = None, {}
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "form":
            self.action = attributes["action"]
        elif tag == "input":
            self.fields[attributes["name"]] = attributes["value"]


def algorithm(certificate):
    """The signature that fits the key."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = x509.load_pem_x509_certificate(pathlib.Path(certificate).read_bytes()).public_key()
    return xmldsig.SIG_RSA_SHA256 if isinstance(key, rsa.RSAPublicKey) else xmldsig.SIG_ECDSA_SHA256


def answer(provider, request_xml, args):
    """The signed response to a request, and where it goes."""
    request = provider.parse_authn_request(base64.b64encode(request_xml.encode()).decode(), saml2.BINDING_HTTP_POST)
    to = provider.response_args(request.message)
    until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=8)
    response = provider.create_authn_response(
        {"Role name": [",".join(args.role)], "OrgID": [",".join(args.org_id)]},
        in_response_to=to["in_response_to"],
        destination=to["destination"],
        sp_entity_id=to["sp_entity_id"],
        name_id=saml.NameID(format=saml.NAMEID_FORMAT_PERSISTENT, text=args.name_id),
        authn={"class_ref": args.context, "authn_instant": int(datetime.datetime.now().timestamp())},
        sign_assertion=True,
        sign_response=False,
        sign_alg=algorithm(args.certificate),
        digest_alg=xmldsig.DIGEST_SHA256,
        session_not_on_or_after=until.strftime("%Y-%m-%dT%H:%M:%SZ"),
    )
    return str(response), to["destination"]


def cookie_pairs(response):
    """Cookies by hand: a browser keeps Secure ones of a loopback address in plain text, `requests` does not send them."""
    lines = response.raw.headers.getlist("Set-Cookie")
    return dict(line.split(";", 1)[0].split("=", 1) for line in lines)


def login(args):
    session = requests.Session()
    # An authority in the environment would be taken instead of the one that is named, a proxy instead of this machine.
    session.trust_env = False
    session.verify = args.ca or True
    base = args.base_url.rstrip("/")
    metadata = session.get(f"{base}/saml/metadata", timeout=30)
    metadata.raise_for_status()
    query = urllib.parse.urlencode({"idp": args.entity_id})
    page = session.get(f"{base}/saml/login?{query}", allow_redirects=False, timeout=30)
    page.raise_for_status()
    form = LoginForm(page.text)
    assert form.action == args.sso_url, f"the form leads to {form.action}"
    with tempfile.TemporaryDirectory(prefix="gridtrail-idp-") as folder:
        known = pathlib.Path(folder, "sp.xml")
        known.write_text(metadata.text)
        provider = Server(config=IdPConfig().load(configuration(args, [str(known)])))
        request_xml = base64.b64decode(form.fields["SAMLRequest"]).decode()
        response, destination = answer(provider, request_xml, args)
    # The address that the metadata name may be another name of the server at BASE_URL.
    path = urllib.parse.urlsplit(destination).path
    cookies = "; ".join(f"{name}={value}" for name, value in cookie_pairs(page).items())
    outcome = session.post(
        base + path,
        data={"SAMLResponse": base64.b64encode(response.encode()).decode(), "RelayState": form.fields["RelayState"]},
        headers={"Cookie": cookies},
        allow_redirects=False,
        timeout=30,
    )
    shown = {"status": outcome.status_code, "location": outcome.headers.get("Location"), "cookies": cookie_pairs(outcome)}
    print(json.dumps(shown))


def metadata(args):
    print(entity_descriptor(IdPConfig().load(configuration(args, []))))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    for name, run in (("metadata", metadata), ("login", login)):
        command = commands.add_parser(name)
        command.set_defaults(run=run)
        command.add_argument("--key", required=True, help="private key, PEM")
        command.add_argument("--certificate", required=True, help="its certificate, PEM")
        command.add_argument("--entity-id", default="https://idp.pysaml.example/md")
        command.add_argument("--sso-url", default="https://idp.pysaml.example/sso")
        command.add_argument("--xmlsec1", default="/usr/bin/xmlsec1")
    command.add_argument("base_url", help="the server, such as https://localhost:8443")
    command.add_argument("--ca", help="the authority of the server's certificate, PEM")
    command.add_argument("--name-id", default="person-17")
    command.add_argument("--role", action="append", default=None)
    command.add_argument("--org-id", action="append", default=None)
    command.add_argument("--context", default=SMARTCARD)
    args = parser.parse_args()
    if args.run is login:
        args.role = args.role or ["role-03"]
        args.org_id = args.org_id or ["90-B3-D5-1F-30-01-00-00"]
    args.run(args)


if __name__ == "__main__":
    sys.exit(main())

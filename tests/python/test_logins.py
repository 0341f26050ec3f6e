"""Somebody logs in by an Identity Provider that nobody here wrote, searches, and is logged out: all of it over the wire."""

import base64
import contextlib
import datetime
import json
import os
import pathlib
import subprocess
import sys
import time

import grpc
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from test_clients import python_client, received, times

sys.path.append(str(pathlib.Path(__file__).parents[2] / "docs/examples"))
from search import Service  # noqa: E402

PROGRAM = pathlib.Path(__file__).with_name("identity_provider.py")
CONTEXT = "urn:oasis:names:tc:SAML:2.0:ac:classes:SmartcardPKI"
ISSUER = "https://idp.pysaml.example/md"
SP = ("--saml-entity-id", "https://ssi.example/saml", "--saml-acs-url", "https://ssi.example/saml/acs")
SESSION_COOKIE = "__Host-gridtrail"


def pem(key):
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def name(text):
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


class Authority:
    """An authority like DCCKI's, which lasts as long as these tests."""

    def __init__(self):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.now = datetime.datetime.now(datetime.timezone.utc)
        self.certificate = self.certify("Authority", self.key.public_key(), authority=True)

    def certify(self, subject, public_key, authority=False):
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name(subject))
            .issuer_name(name("Authority"))
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.now - datetime.timedelta(hours=1))
            .not_valid_after(self.now + datetime.timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        return certificate.sign(self.key, hashes.SHA256())

    def revocation_list(self, revoked=()):
        listed = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(name("Authority"))
            .last_update(self.now - datetime.timedelta(hours=1))
            .next_update(self.now + datetime.timedelta(hours=1))
            .add_extension(x509.CRLNumber(1), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        )
        for certificate in revoked:
            listed = listed.add_revoked_certificate(
                x509.RevokedCertificateBuilder()
                .serial_number(certificate.serial_number)
                .revocation_date(self.now - datetime.timedelta(minutes=30))
                .build()
            )
        return listed.sign(self.key, hashes.SHA256())


class Logins:
    """Files of an Identity Provider and its authority, and a server where people log in by it."""

    def __init__(self, stage):
        self.stage = stage
        authority = Authority()
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        certificate = authority.certify("Identity Provider", key.public_key())
        public = serialization.Encoding.PEM
        for file, content in (
            ("idp.key", pem(key)),
            ("idp.pem", certificate.public_bytes(public)),
            ("anchors.pem", authority.certificate.public_bytes(public)),
            ("revoked.pem", authority.revocation_list().public_bytes(public)),
            ("revoked-idp.pem", authority.revocation_list([certificate]).public_bytes(public)),
        ):
            pathlib.Path(stage.path(file)).write_bytes(content)
        stage.write_secret("session.pem", pem(ed25519.Ed25519PrivateKey.generate()))
        self.keys = ("--key", stage.path("idp.key"), "--certificate", stage.path("idp.pem"))
        self.trust = ("--saml-anchors", stage.path("anchors.pem"), "--saml-revoked", stage.path("revoked.pem"))
        metadata = subprocess.run([sys.executable, PROGRAM, "metadata", *self.keys], check=True, capture_output=True)
        pathlib.Path(stage.path("idp.xml")).write_bytes(metadata.stdout)

    def enrol(self, *trust):
        return subprocess.run(
            [self.stage.binary, "idp", "add", self.stage.path("idp.xml"), "--party", "region", "--authn-context", CONTEXT,
             "--lake", self.stage.lake, *(trust or self.trust)],
            capture_output=True, text=True, check=False,
        )

    @contextlib.contextmanager
    def serving(self, encryption=("--plain-text",)):
        """The URLs of the service and of the pages of a server."""
        server = subprocess.Popen(
            [self.stage.binary, "serve", "--lake", self.stage.lake, "--listen", "127.0.0.1:0", *encryption, "--no-maintenance",
             "--saml-listen", "127.0.0.1:0", "--saml-landing", "/audit", "--session-key", self.stage.path("session.pem"),
             *SP, *self.trust],
            stdout=subprocess.PIPE, text=True, env=os.environ,
        )
        try:
            yield server.stdout.readline().strip(), server.stdout.readline().strip()
        finally:
            server.terminate()
            server.wait()

    def log_in(self, pages, *more):
        done = subprocess.run(
            [sys.executable, PROGRAM, "login", pages, *self.keys, "--context", CONTEXT, *more],
            capture_output=True, text=True, check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


def resume(url, handle):
    with grpc.insecure_channel(url.removeprefix("http://")) as channel:
        return Service(channel, "none", "SessionService").call("Resume", handle=handle)["token"]


def ends(url, token, device):
    """Waits until a token no longer opens anything."""
    for _ in range(100):
        if "UNAUTHENTICATED" in search(url, token, device)[2]:
            return
        time.sleep(0.05)
    raise AssertionError("the session goes on")


def search(url, token, device):
    class At:
        pass

    at = At()
    at.url = url
    return python_client(at, token, device, "--all")


def test_a_person_logs_in_by_pysaml2_searches_and_logs_out(stage):
    logins = Logins(stage)
    device, trails = stage.busiest_device()
    user = trails[0]["user_id"]
    enrolled = logins.enrol()
    assert enrolled.returncode == 0, enrolled.stderr
    assert ISSUER in stage.run("idp", "list", "--lake", stage.lake)
    with logins.serving() as (url, pages), logins.serving() as (other_url, _):
        outcome = logins.log_in(pages, "--role", "role-01", "--org-id", user)
        assert outcome["status"] == 303 and outcome["location"].endswith("/audit"), outcome
        handle = outcome["cookies"][SESSION_COOKIE]
        token = resume(url, handle)
        for server in (url, other_url):
            code, rows, errors = search(server, token, device)
            assert code == 0, errors
            assert times(rows) == received(trail for trail in trails if trail["user_id"] == user)
        refused = requests.post(f"{pages}/saml/logout", headers={"Cookie": f"{SESSION_COOKIE}={handle}"}, timeout=30)
        assert refused.status_code == 403, "another page may not log somebody out"
        own = {"Cookie": f"{SESSION_COOKIE}={handle}", "Origin": "https://ssi.example", "Sec-Fetch-Site": "same-origin"}
        assert requests.post(f"{pages}/saml/logout", headers=own, timeout=30).status_code == 200
        ends(url, token, device)
        ends(other_url, token, device)
        # An operator ends another one by its id, and the last ends with its Identity Provider.
        token = resume(url, logins.log_in(pages, "--role", "role-01", "--org-id", user)["cookies"][SESSION_COOKIE])
        claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
        assert user not in json.dumps(claims), "who somebody is stands in the session, not in the token"
        stage.run("session", "revoke", claims["sid"], "--lake", stage.lake)
        ends(other_url, token, device)
        token = resume(url, logins.log_in(pages, "--role", "role-01", "--org-id", user)["cookies"][SESSION_COOKIE])
        assert search(other_url, token, device)[0] == 0
        stage.run("idp", "remove", ISSUER, "--lake", stage.lake)
        ends(other_url, token, device)


def test_a_login_that_is_not_good_enough_is_refused_with_one_sentence(stage):
    logins = Logins(stage)
    revoked = ("--saml-anchors", stage.path("anchors.pem"), "--saml-revoked", stage.path("revoked-idp.pem"))
    refused = logins.enrol(*revoked)
    assert refused.returncode == 2 and "revoked" in refused.stderr, refused.stderr
    assert logins.enrol().returncode == 0
    again = logins.enrol()
    assert again.returncode == 5 and "enrolled already" in again.stderr, again.stderr
    certificate, key = stage.path("pages.pem"), stage.path("pages.key")
    stage.run("dev-certificate", "--certificate", certificate, "--key", key)
    try:
        with logins.serving(("--tls-certificate", certificate, "--tls-key", key)) as (_, pages):
            assert pages.startswith("https://"), pages
            for wrong in (("--role", "role-99"), ("--context", "urn:oasis:names:tc:SAML:2.0:ac:classes:Password")):
                outcome = logins.log_in(pages, "--ca", certificate, *wrong)
                assert (outcome["status"], outcome["cookies"]) == (401, {}), outcome
            outcome = logins.log_in(pages, "--ca", certificate)
            assert outcome["status"] == 303 and SESSION_COOKIE in outcome["cookies"], outcome
            # What the server gives an Identity Provider is what the command prints.
            served = requests.get(f"{pages}/saml/metadata", verify=certificate, timeout=30).text
            assert served.strip() == stage.run("sp", "metadata", *SP).strip()
            assert all(f'"{value}"' in served for value in SP[1::2]), served
    finally:
        stage.run("idp", "remove", ISSUER, "--lake", stage.lake)

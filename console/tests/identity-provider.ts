// An Identity Provider of the tests: its keys, its metadata, and the signed responses that a browser posts. It owes nothing to the code
// that verifies them: everything is written in exclusive canonical form by hand.

import { createHash, createSign, randomBytes } from "node:crypto";
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export const CONTEXT = "urn:oasis:names:tc:SAML:2.0:ac:classes:SmartcardPKI";
const SAML = 'xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion"';
const DS = 'xmlns:ds="http://www.w3.org/2000/09/xmldsig#"';
const EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#";

function openssl(folder: string, ...args: string[]) {
  execFileSync("openssl", args, { cwd: folder, stdio: ["ignore", "ignore", "pipe"] });
}

/** An authority with a list of what it revoked, and a certificate of its for signing: `anchors.pem`, `revoked.pem`, `idp.pem`, `idp.key`. */
export function makeKeys(folder: string): void {
  writeFileSync(
    join(folder, "authority.cnf"),
    `[req]
distinguished_name = name
[name]
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[signing]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[list]
authorityKeyIdentifier = keyid
[ca]
default_ca = all
[all]
database = index.txt
crlnumber = crlnumber
default_md = sha256
default_crl_days = 2
`,
  );
  writeFileSync(join(folder, "index.txt"), "");
  writeFileSync(join(folder, "crlnumber"), "01\n");
  openssl(folder, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "authority.key", "-out", "anchors.pem", "-days", "2", "-subj", "/CN=Authority", "-config", "authority.cnf", "-extensions", "authority");
  openssl(folder, "req", "-newkey", "rsa:2048", "-nodes", "-keyout", "idp.key", "-out", "idp.csr", "-subj", "/CN=Identity Provider", "-config", "authority.cnf");
  openssl(folder, "x509", "-req", "-in", "idp.csr", "-CA", "anchors.pem", "-CAkey", "authority.key", "-CAcreateserial", "-out", "idp.pem", "-days", "2", "-extfile", "authority.cnf", "-extensions", "signing");
  openssl(folder, "ca", "-config", "authority.cnf", "-gencrl", "-keyfile", "authority.key", "-cert", "anchors.pem", "-crlexts", "list", "-out", "revoked.pem");
}

/** What an administrator exports of an Identity Provider. */
export function metadata(folder: string, entityId: string): string {
  const certificate = readFileSync(join(folder, "idp.pem"), "utf8").replace(/-----.*-----|\s/g, "");
  return `<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" ${DS} entityID="${entityId}">
<md:IDPSSODescriptor WantAuthnRequestsSigned="false" protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">
<md:KeyDescriptor use="signing"><ds:KeyInfo><ds:X509Data><ds:X509Certificate>${certificate}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>
<md:NameIDFormat>urn:oasis:names:tc:SAML:2.0:nameid-format:persistent</md:NameIDFormat>
<md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="${ssoOf(entityId)}"/>
</md:IDPSSODescriptor>
<md:ContactPerson contactType="technical"><md:EmailAddress>mailto:idp@supplier.example</md:EmailAddress></md:ContactPerson>
</md:EntityDescriptor>`;
}

export function ssoOf(entityId: string): string {
  return `${entityId}/sso`;
}

export interface Person {
  entityId: string;
  name: string;
  roles: string[];
  userIds: string[];
}

/** The page with which the Identity Provider answers a request that a browser posted to it. */
export function answerPage(folder: string, posted: string, person: Person): string {
  const form = new URLSearchParams(posted);
  const request = Buffer.from(form.get("SAMLRequest") ?? "", "base64").toString();
  const of = (name: string) => new RegExp(`${name}="([^"]*)"`).exec(request)?.[1] ?? "";
  const audience = /<saml:Issuer>([^<]*)</.exec(request)?.[1] ?? "";
  const acs = of("AssertionConsumerServiceURL");
  const response = signedResponse(readFileSync(join(folder, "idp.key"), "utf8"), { request: of(" ID"), acs, audience }, person);
  return `<!doctype html><title>Identity Provider</title><h1>Identity Provider of the tests</h1>
<form method="post" action="${acs}"><input type="hidden" name="SAMLResponse" value="${Buffer.from(response).toString("base64")}">
<input type="hidden" name="RelayState" value="${form.get("RelayState")}"><button>Log in as ${person.name}</button></form>`;
}

function signedResponse(key: string, asked: { request: string; acs: string; audience: string }, person: Person): string {
  const { request, acs, audience } = asked;
  const instant = (minutes: number) => new Date(Date.now() + minutes * 60_000).toISOString().replace(/\.\d+/, "");
  const id = `_${randomBytes(16).toString("hex")}`;
  const attribute = (name: string, values: string[]) =>
    `<saml:Attribute Name="${name}"><saml:AttributeValue>${values.join(",")}</saml:AttributeValue></saml:Attribute>`;
  const head = `<saml:Assertion ${SAML} ID="${id}" IssueInstant="${instant(0)}" Version="2.0"><saml:Issuer>${person.entityId}</saml:Issuer>`;
  const tail =
    `<saml:Subject><saml:NameID Format="urn:oasis:names:tc:SAML:2.0:nameid-format:persistent">${person.name}</saml:NameID>` +
    `<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"><saml:SubjectConfirmationData InResponseTo="${request}" NotOnOrAfter="${instant(5)}" Recipient="${acs}"></saml:SubjectConfirmationData></saml:SubjectConfirmation></saml:Subject>` +
    `<saml:Conditions NotBefore="${instant(-5)}" NotOnOrAfter="${instant(5)}"><saml:AudienceRestriction><saml:Audience>${audience}</saml:Audience></saml:AudienceRestriction></saml:Conditions>` +
    `<saml:AuthnStatement AuthnInstant="${instant(0)}" SessionNotOnOrAfter="${instant(480)}"><saml:AuthnContext><saml:AuthnContextClassRef>${CONTEXT}</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>` +
    `<saml:AttributeStatement>${attribute("Role name", person.roles)}${attribute("OrgID", person.userIds)}</saml:AttributeStatement></saml:Assertion>`;
  const digest = createHash("sha256").update(head + tail).digest("base64");
  const info =
    `<ds:CanonicalizationMethod Algorithm="${EXCLUSIVE}"></ds:CanonicalizationMethod>` +
    `<ds:SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"></ds:SignatureMethod>` +
    `<ds:Reference URI="#${id}"><ds:Transforms><ds:Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"></ds:Transform><ds:Transform Algorithm="${EXCLUSIVE}"></ds:Transform></ds:Transforms>` +
    `<ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"></ds:DigestMethod><ds:DigestValue>${digest}</ds:DigestValue></ds:Reference></ds:SignedInfo>`;
  // Signed by itself it declares its namespace; within the signature it need not.
  const value = createSign("sha256").update(`<ds:SignedInfo ${DS}>${info}`).sign(key, "base64");
  const signature = `<ds:Signature ${DS}><ds:SignedInfo>${info}<ds:SignatureValue>${value}</ds:SignatureValue></ds:Signature>`;
  return (
    `<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" ID="_${randomBytes(16).toString("hex")}" Version="2.0" IssueInstant="${instant(0)}" Destination="${acs}" InResponseTo="${request}">` +
    `<samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"></samlp:StatusCode></samlp:Status>${head}${signature}${tail}</samlp:Response>`
  );
}

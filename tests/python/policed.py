"""A proxy before a store that lets each credential do what its policy says, as S3 does, and nothing else."""

import json
import re
import urllib.parse

from moto.iam.access_control import IAMPolicy, PermissionResult

from faulty import FaultyProxy, reply

CREDENTIAL = re.compile(r"Credential=([^/,]+)/")
DENIED = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"


class PolicedProxy(FaultyProxy):
    """Passes on what the policy of the access key permits. A key without a policy may do everything: an operator's."""

    def __init__(self, store, policies):
        super().__init__(store, 0, 0)
        self.policies = {key: IAMPolicy(json.dumps(policy)) for key, policy in policies.items()}
        # What was refused: the key, the action and the resource.
        self.refused = []

    def permits(self, key, action, resource):
        policy = self.policies.get(key)
        return policy is None or policy.is_action_permitted(action, resource) == PermissionResult.PERMITTED

    def serve(self, request):
        body = request.rfile.read(int(request.headers.get("content-length", 0)))
        key = CREDENTIAL.search(request.headers["authorization"]).group(1)
        for action, resource in wanted(request.command, request.path, body):
            if not self.permits(key, action, resource):
                self.refused.append((key, action, resource))
                return reply(request, 403, [], DENIED)
        return reply(request, *self.carry_out(request, body))


def wanted(method, path, body):
    """What a request needs: actions, and what they are done to."""
    url = urllib.parse.urlsplit(path)
    bucket, _, name = urllib.parse.unquote(url.path).lstrip("/").partition("/")
    query = urllib.parse.parse_qs(url.query, keep_blank_values=True)
    bucket = f"arn:aws:s3:::{bucket}"
    if method == "POST" and "delete" in query:
        return [("s3:DeleteObject", f"{bucket}/{name}") for name in re.findall("<Key>([^<]*)</Key>", body.decode())]
    if not name:
        return [("s3:ListBucket", bucket)]
    if method == "DELETE" and "uploadId" in query:
        return [("s3:AbortMultipartUpload", f"{bucket}/{name}")]
    action = {"GET": "GetObject", "HEAD": "GetObject", "DELETE": "DeleteObject"}.get(method, "PutObject")
    return [(f"s3:{action}", f"{bucket}/{name}")]

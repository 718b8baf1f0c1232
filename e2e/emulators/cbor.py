"""What the Rust SDK says in CBOR (Smithy's RPC v2), judged by a MiniStack's users and policies.

    cbor.py MINISTACK_URL ROOT_KEY ROOT_SECRET [KEY SECRET]...

Out: a line with the URL at which it answers, on loopback, until standard input ends.

CloudWatch: MiniStack reads CBOR, but finds no action in its path and lets it through. Here the same operation with the same
arguments goes to it as JSON, signed by the same key, of which this has to be told the secret. What it refuses is refused in
CBOR; for the rest the answer is 204: the request may go on as it came.

Performance Insights, which MiniStack lacks, as far as GetResourceMetrics goes. Whose key a request was signed with, and
whether that user's policies allow it, MiniStack says (GetAccessKeyLastUsed, SimulatePrincipalPolicy); nothing is evaluated
here. The signature itself is not checked. The load is made up: CPU at 1.5, IO at 0.5, their sum for the database.
"""

import datetime
import http.server
import json
import re
import sys
import threading

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import botocore.exceptions
import botocore.httpsession
import botocore.session
import cbor2

URL, KEY, SECRET = sys.argv[1:4]
SECRETS = dict(zip(sys.argv[2::2], sys.argv[3::2]))
ACCOUNT = "123456789012"
CLOUDWATCH = "/service/GraniteServiceVersion20100801/operation/"
INSIGHTS = "/service/PerformanceInsightsv20180227/operation/GetResourceMetrics"
SIGNED = r"AWS4-HMAC-SHA256 Credential=([^/]+)/\d{8}/([^/]+)/([^/]+)/aws4_request"
SESSION = botocore.session.get_session()
HTTP = botocore.httpsession.URLLib3Session()
LOAD = {"CPU": 1.5, "IO": 0.5}
UTC = datetime.timezone.utc


def client(service, region="us-west-2"):
    return SESSION.create_client(
        service, region_name=region, endpoint_url=URL, aws_access_key_id=KEY, aws_secret_access_key=SECRET
    )


iam = client("iam")


class Refused(Exception):
    """What is answered instead: a status, a code and a message of AWS."""


def signer(headers):
    """The key, region and service of a request."""
    signed = re.match(SIGNED, headers["authorization"] or "")
    if not signed:
        raise Refused(403, "MissingAuthenticationToken", "Missing Authentication Token")
    return signed.groups()


def unknown():
    return Refused(403, "UnrecognizedClientException", "The security token included in the request is invalid.")


def judged(operation, asked, headers):
    """MiniStack's word on the same request in JSON."""
    key, region, service = signer(headers)
    if key not in SECRETS:
        raise unknown()
    body = json.dumps(asked, default=lambda at: at.timestamp())
    said = {
        "content-type": "application/x-amz-json-1.0",
        "x-amz-target": f"GraniteServiceVersion20100801.{operation}",
    }
    request = botocore.awsrequest.AWSRequest("POST", URL + "/", headers=said, data=body)
    credentials = botocore.credentials.Credentials(key, SECRETS[key])
    botocore.auth.SigV4Auth(credentials, service, region).add_auth(request)
    answer = HTTP.send(request.prepare())
    if answer.status_code >= 400:
        told = json.loads(answer.content)
        raise Refused(answer.status_code, told["__type"], told.get("message") or told.get("Message"))


def may(key, region, database):
    """MiniStack's word on the policies of a key's user; the account's root may."""
    if key == KEY:
        return
    try:
        user = iam.get_access_key_last_used(AccessKeyId=key)["UserName"]
    except botocore.exceptions.ClientError as error:
        raise unknown() from error
    action, resource = "pi:GetResourceMetrics", f"arn:aws:pi:{region}:{ACCOUNT}:metrics/rds/{database}"
    arn = f"arn:aws:iam::{ACCOUNT}:user/{user}"
    word = iam.simulate_principal_policy(PolicySourceArn=arn, ActionNames=[action], ResourceArns=[resource])
    if word["EvaluationResults"][0]["EvalDecision"] != "allowed":
        message = (
            f"User: {arn} is not authorized to perform: {action} on resource: {resource}"
            f" because no identity-based policy allows the {action} action"
        )
        raise Refused(400, "AccessDeniedException", message)


def measured(asked, region):
    """The load of a database for the times that were asked for, rounded outwards to whole periods."""
    database = asked["Identifier"]
    databases = client("rds", region).describe_db_instances()["DBInstances"]
    if database not in [one["DbiResourceId"] for one in databases]:
        message = f"The resource {database} for service type RDS is not authorized for this account"
        raise Refused(400, "NotAuthorizedException", message)
    (query,) = asked["MetricQueries"]
    group, period = query["GroupBy"]["Group"], asked["PeriodInSeconds"]
    start = int(asked["StartTime"].timestamp()) // period * period
    end = -int(-asked["EndTime"].timestamp() // period) * period

    def moment(at):
        return datetime.datetime.fromtimestamp(at, UTC)

    def series(value, dimensions):
        points = [{"Timestamp": moment(at), "Value": value} for at in range(start, end, period)]
        return {"Key": {"Metric": query["Metric"], **dimensions}, "DataPoints": points}

    groups = [series(value, {"Dimensions": {f"{group}.name": name}}) for name, value in LOAD.items()]
    return {
        "AlignedStartTime": moment(start),
        "AlignedEndTime": moment(end),
        "Identifier": database,
        "MetricList": [series(sum(LOAD.values()), {}), *groups[: query["GroupBy"]["Limit"]]],
    }


def answered(path, headers, body):
    """Status and content."""
    if headers["smithy-protocol"] != "rpc-v2-cbor":
        raise Refused(400, "UnknownOperationException", f"{path} in {headers['content-type']}")
    asked = cbor2.loads(body) if body else {}
    if path.startswith(CLOUDWATCH):
        judged(path.removeprefix(CLOUDWATCH), asked, headers)
        return 204, None
    if path != INSIGHTS:
        raise Refused(404, "UnknownOperationException", path)
    key, region, _ = signer(headers)
    may(key, region, asked["Identifier"])
    return 200, measured(asked, region)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"] or 0))
        try:
            status, content = answered(self.path, self.headers, body)
        except Refused as refused:
            status, code, message = refused.args
            content = {"__type": code, "message": message}
        body = b"" if content is None else cbor2.dumps(content, datetime_as_timestamp=True)
        self.send_response(status)
        self.send_header("content-type", "application/cbor")
        self.send_header("smithy-protocol", "rpc-v2-cbor")
        if status != 204:
            self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(f"http://127.0.0.1:{server.server_port}", flush=True)
sys.stdin.read()

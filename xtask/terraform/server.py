"""The AWS server under the role that Terraform made for it, where what a role does not allow is refused (`AUTH=true`).

In: MiniStack, the applied state, the program mcp-aws. Out: what it could do, and what it was denied; the first surprise ends
the program. MiniStack has no EKS that takes roles for pods. Its root stands in: the trust policy lets it, once the condition on
aws:SourceAccount is gone, which MiniStack does not send. The session tags are EKS's, and the conditions on them stay.
"""

import json
import os
import subprocess
import sys

import botocore.exceptions

from emulators import ACCOUNT, REGION
from roles import read, resources


class Stdio:
    """The server, spoken to over its standard input and output."""

    def __init__(self, program, url, credentials):
        environment = {
            "PATH": os.environ["PATH"],
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": credentials["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": credentials["SecretAccessKey"],
            "AWS_SESSION_TOKEN": credentials["SessionToken"],
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        # Every tool is there: what is refused is refused by the role.
        command = [program, "--stdio", f"--region={REGION}", "--writes=allow", "--sensitive=allow", "--audit=none", "--log=warn"]
        self.process = subprocess.Popen(command, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.last = 0

    def __enter__(self):
        about = {"name": "terraform-apply", "version": "1"}
        self.ask("initialize", {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": about})
        self.send({"method": "notifications/initialized"})
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(30)

    def send(self, message):
        self.process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        self.process.stdin.flush()

    def ask(self, method, parameters):
        self.last += 1
        self.send({"id": self.last, "method": method, "params": parameters})
        for line in self.process.stdout:
            answer = json.loads(line)
            if answer.get("id") == self.last:
                return answer["result"] if "result" in answer else sys.exit(f"mcp-aws: {method}: {answer}")
        sys.exit(f"mcp-aws ended while it was asked for {method}")

    def call(self, tool, arguments):
        """Whether it went well, and what was said."""
        result = self.ask("tools/call", {"name": tool, "arguments": arguments})
        return not result.get("isError", False), json.dumps(result.get("structuredContent") or result["content"])


def check(ministack, state, moto, program):
    least(state, program)
    roles = read(state, moto)
    role = roles["server aws"]
    bucket = state["values"]["outputs"]["bucket_names"]["value"]["artifacts"]
    s3 = ministack.client("s3")
    s3.put_object(Bucket=bucket, Key="reports/november.txt", Body=b"of November")
    calls = [
        ("s3_list_objects", {"bucket": bucket}, True, "reports/november.txt"),
        ("s3_list_buckets", {}, True, bucket),
        ("s3_get_object", {"bucket": bucket, "key": "reports/november.txt"}, False, "s3:GetObject is not allowed"),
        ("s3_put_object", {"bucket": bucket, "key": "new.txt", "text": "new"}, False, "s3:PutObject is not allowed"),
    ]
    with Stdio(program, ministack.url, credentials(ministack, role, roles["keda"])) as server:
        for tool, arguments, allowed, says in calls:
            went_well, said = server.call(tool, arguments)
            if went_well != allowed or says not in said:
                sys.exit(f"mcp-aws under {role.name}: {tool} should {'work' if allowed else 'be denied'} and say `{says}`: {said}")
            print(f"mcp-aws under {role.name}: {tool} {'works' if allowed else 'is denied'}")
    empty(s3, bucket)


def least(state, program):
    """The role has the policy that the server prints for the tools that are there by default, and no other."""
    scope = ["--partition=aws", f"--region={REGION}", f"--account={ACCOUNT}"]
    printed = json.loads(subprocess.run([program, "iam-policy", *scope], check=True, capture_output=True, text=True).stdout)
    given = [
        json.loads(it["values"]["policy"])
        for it in resources(state["values"]["root_module"])
        if it["address"] == 'module.pod_identity.aws_iam_role_policy.server["aws"]'
    ]
    # In whatever order: the printer sorts by what the placeholders stand for.
    if [statements(it) for it in given] != [statements(printed)]:
        sys.exit(f"config/iam/aws-server-policy.json is not what `mcp-aws iam-policy` prints:\n{json.dumps(printed, indent=2)}")


def statements(policy):
    return sorted(json.dumps(it, sort_keys=True) for it in policy["Statement"])


def credentials(ministack, role, neighbour):
    iam, sts = ministack.client("iam"), ministack.client("sts")
    standing_in = json.loads(json.dumps(role.trust))
    del standing_in["Statement"][0]["Condition"]["StringEquals"]["aws:SourceAccount"]
    iam.update_assume_role_policy(RoleName=role.name, PolicyDocument=json.dumps(standing_in))
    try:
        try:
            assume(sts, role, neighbour.tags)
            sys.exit(f"{role.name} was given to the pods of {neighbour.name}")
        except botocore.exceptions.ClientError as refused:
            if refused.response["Error"]["Code"] != "AccessDenied":
                raise
        return assume(sts, role, role.tags)
    finally:
        iam.update_assume_role_policy(RoleName=role.name, PolicyDocument=json.dumps(role.trust))


def assume(sts, role, tags):
    tags = [{"Key": name, "Value": value} for name, value in tags.items()]
    return sts.assume_role(RoleArn=role.arn, RoleSessionName="pod", Tags=tags)["Credentials"]


def empty(s3, bucket):
    """Takes away what was put, all versions of it, so that the bucket can be destroyed as any other."""
    for it in s3.list_object_versions(Bucket=bucket).get("Versions", []):
        s3.delete_object(Bucket=bucket, Key=it["Key"], VersionId=it["VersionId"])

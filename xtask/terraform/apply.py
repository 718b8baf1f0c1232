"""Applies an environment to emulators, plans again, changes one value, destroys, and looks for what was left.

    apply.py ENVIRONMENT STATE.json MOTO_SERVER MCP_AWS XTASK DIRECTORY

It is made and destroyed by `cargo xtask aws`, the program a person uses on AWS. On the way every role is tried (roles.py), and the AWS server runs under its own (server.py). Out: the applied state as
`terraform show -json` has it, for policies.py. The emulators listen on 127.0.0.1 alone and
end with this program. What they cannot do is in emulator-gaps.json, each with what was answered; anything else fails.
"""

import json
import pathlib
import re
import shutil
import sys

import emulators
import roles
import server
from environment import Environment

HERE = pathlib.Path(__file__).resolve().parent
MOST_GAPS = 10


def kind(address):
    """The type of a resource, from its address."""
    return re.sub(r"\[[^\]]*\]", "", address).split(".")[-2]


class Gaps:
    """What an emulator's answers explain of a second plan: what it drops, it drops of every resource of a type."""

    def __init__(self, committed):
        self.of = {it["type"]: it for it in committed}
        self.unused = {(it["type"], name) for it in committed for name in it["attributes"]}
        if len(self.unused) > MOST_GAPS:
            sys.exit(f"emulator-gaps.json explains {len(self.unused)} attributes; at most {MOST_GAPS} may differ")
        for it in committed:
            if not it.get("answer"):
                sys.exit(f"emulator-gaps.json does not say what was answered about {it['type']}")

    def explain(self, change):
        address, actions, attributes = change
        gap = self.of.get(kind(address))
        if gap is None or actions != gap["actions"] or not set(attributes) <= set(gap["attributes"]):
            return False
        self.unused -= {(kind(address), name) for name in attributes}
        return True


def main(name, state_json, moto_server, mcp_aws, xtask, work):
    committed = json.loads((HERE / "emulator-gaps.json").read_text())
    gaps = Gaps(committed["second_plan"])
    shutil.rmtree(work, ignore_errors=True)
    with emulators.ministack() as ministack, emulators.moto(moto_server) as moto:
        addresses = {"": ministack.url} | {service: moto.url for service in committed["moto"]}
        environment = Environment(name, xtask, addresses, pathlib.Path(work))
        refusals(environment, ministack)
        environment.aws("plan")
        know_buckets(moto, environment.show("plan"))
        print("Next" + environment.aws("up").rsplit("\nNext", 1)[-1])
        state = environment.show("state")
        pathlib.Path(state_json).write_text(json.dumps(state))
        print(f"applied: {len(environment.left())} resources and data sources")
        roles.check(state, moto)
        server.check(ministack, state, moto, mcp_aws)

        second = environment.changes()
        unexplained = [it for it in second if not gaps.explain(it)]
        print(f"second plan: {len(second)} resources differ, {len(unexplained)} of them unexplained")
        if unexplained:
            sys.exit("the second plan is not empty:\n" + "\n".join(f"  {it}" for it in unexplained))
        if gaps.unused:
            sys.exit(f"emulator-gaps.json explains what no longer differs: {sorted(gaps.unused)}")

        change_one_value(environment, gaps, committed["one_change"])

        environment.aws("down", "--confirm", state["values"]["outputs"]["cluster_name"]["value"])
        if left := environment.left():
            sys.exit(f"destroy left {left}")
        print("destroyed: the state is empty")
        left = remains(ministack, moto)
        if left.keys() != committed["left"].keys():
            sys.exit(f"destroy left in the emulators {left}, and emulator-gaps.json explains {sorted(committed['left'])}")
        print(f"destroyed: the emulators hold nothing of ours but what they did not delete: {left}")
        print("; ".join(f"{verb} {seconds:.0f} s" for verb, seconds in environment.took))


def refusals(environment, ministack):
    """What is missing is listed, and nothing is made: credentials, room for a VPC, the name of what is destroyed."""
    ec2 = ministack.client("ec2")
    stranger = environment.refused("up", AWS_ACCESS_KEY_ID="AKIAIOSFODNN7EXAMPLE", AWS_SECRET_ACCESS_KEY="unknown")
    full = [ec2.create_vpc(CidrBlock=f"10.{it}.0.0/16")["Vpc"]["VpcId"] for it in range(100, 105)]
    no_room = environment.refused("up")
    for it in full:
        ec2.delete_vpc(VpcId=it)
    for text, expected in [
        (stranger, "missing:\n  - credentials: `aws sts get-caller-identity` said"),
        (no_room, "missing:\n  - quota: VPCs of the region: 5 are allowed, 6 are there, 1 more are needed"),
        (environment.refused("down"), "destroys mcp-dev with everything in it. To do so: cargo xtask aws down --confirm mcp-dev"),
    ]:
        if expected not in text:
            sys.exit(f"a refusal that says `{expected}` was expected, and it said:\n{text}")
        print("refused: " + text.strip().rsplit("\n", 1)[-1].strip())
    if environment.work.joinpath("state").exists():
        sys.exit("something was made in spite of a refusal")


def change_one_value(environment, gaps, change):
    """The resources it speaks of change, and nothing else. Only they are applied: the emulators cannot mend their gaps."""
    values = environment.work / "changed.tfvars.json"
    values.write_text(json.dumps(change["values"]))
    planned = [it for it in environment.changes(f"-var-file={values}") if not gaps.explain(it)]
    if sorted(it[0] for it in planned) != sorted(change["changes"]):
        sys.exit(f"one value changed\n  {planned}\nwhere only these should:\n  {change['changes']}")
    environment.with_state("apply", "-auto-approve", f"-var-file={values}", *(f"-target={it}" for it in change["changes"]))
    print(f"one value changed {', '.join(it[0] for it in planned)} and nothing else")


def know_buckets(moto, plan):
    """The buckets are MiniStack's; moto takes no trail into one that it does not know."""
    where = {"LocationConstraint": emulators.REGION}
    for it in plan["resource_changes"]:
        if it["type"] == "aws_s3_bucket":
            moto.client("s3").create_bucket(Bucket=it["change"]["after"]["bucket"], CreateBucketConfiguration=where)


def remains(ministack, moto):
    """What the emulators still list of the kinds that cost money or give access."""
    ec2 = ministack.client("ec2")
    left = {
        "roles": [it["RoleName"] for it in ministack.client("iam").list_roles()["Roles"] if it["RoleName"].startswith("mcp-")],
        "vpcs": [it["VpcId"] for it in ec2.describe_vpcs()["Vpcs"] if not it.get("IsDefault")],
        "nat gateways": [it["NatGatewayId"] for it in ec2.describe_nat_gateways()["NatGateways"] if it["State"] != "deleted"],
        "addresses": [it["PublicIp"] for it in ec2.describe_addresses()["Addresses"]],
        "clusters": ministack.client("eks").list_clusters()["clusters"],
        "databases": [it["DBInstanceIdentifier"] for it in ministack.client("rds").describe_db_instances()["DBInstances"]],
        "buckets": [it["Name"] for it in ministack.client("s3").list_buckets()["Buckets"]],
        "file systems": [it["FileSystemId"] for it in ministack.client("efs").describe_file_systems()["FileSystems"]],
        "repositories": [it["repositoryName"] for it in ministack.client("ecr").describe_repositories()["repositories"]],
        "queues": ministack.client("sqs").list_queues().get("QueueUrls", []),
        "log groups": [it["logGroupName"] for it in ministack.client("logs").describe_log_groups()["logGroups"]],
        "alarms": [it["AlarmName"] for it in moto.client("cloudwatch").describe_alarms()["MetricAlarms"]],
        "trails": [it["Name"] for it in moto.client("cloudtrail").describe_trails()["trailList"]],
    }
    return {name: names for name, names in left.items() if names}


main(*sys.argv[1:])

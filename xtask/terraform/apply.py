"""Applies an environment to MiniStack, plans again, changes one value, destroys, and looks for what was left.

    apply.py ENVIRONMENT STATE.json

Out: the applied state as `terraform show -json` has it, for policies.py. The emulator listens on 127.0.0.1 alone and
ends with this program. What it cannot do is in emulator-gaps.json, each with the reason; anything else fails.
"""

import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
ACCOUNT = "123456789012"


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Emulator:
    """MiniStack, from `with` to the end of it."""

    def __enter__(self):
        self.url = f"http://127.0.0.1:{free_port()}"
        self.home = tempfile.TemporaryDirectory(prefix="mcp-eks-ministack-")
        self.log = open(pathlib.Path(self.home.name) / "log", "w+")
        environment = {
            **os.environ,
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": self.url.rsplit(":", 1)[1],
            "MINISTACK_ACCOUNT_ID": ACCOUNT,
            "DOCKER_HOST": "unix:///nonexistent",
        }
        program = pathlib.Path(sys.executable).with_name("ministack")
        self.process = subprocess.Popen([program], env=environment, cwd=self.home.name, stdout=self.log, stderr=self.log)
        for _ in range(120):
            try:
                urllib.request.urlopen(f"{self.url}/_ministack/health", timeout=2).read()
                return self
            except OSError:
                if self.process.poll() is not None:
                    break
                time.sleep(0.5)
        self.log.seek(0)
        sys.exit(f"MiniStack did not start at {self.url}:\n{self.log.read()}")

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(20)
        self.log.close()
        self.home.cleanup()


class Environment:
    """Terraform in one directory, its state and settings elsewhere."""

    def __init__(self, directory, url, work):
        self.directory, self.work = directory, work
        services = re.findall(r'^\s+(\w+)\s+= lookup\(endpoints', (directory / "providers.tf").read_text(), re.MULTILINE)
        settings = {"endpoints": {it: url for it in services}, "emulator": True}
        (work / "emulator.tfvars.json").write_text(json.dumps(settings))
        self.environment = {
            **os.environ,
            "AWS_ACCESS_KEY_ID": ACCOUNT,
            "AWS_SECRET_ACCESS_KEY": "emulator",
            "AWS_REGION": "us-west-2",
        }
        self.took = []

    def run(self, *words, accept=(0,), quiet=False):
        start = time.time()
        command = ["terraform", f"-chdir={self.directory}", *words]
        done = subprocess.run(command, env=self.environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if not quiet:
            self.took.append((words[0], time.time() - start))
        if done.returncode not in accept:
            print(done.stdout[-8000:])
            sys.exit(f"`{' '.join(words)}` ended with {done.returncode}")
        return done.stdout

    def show(self, path):
        return json.loads(self.run("show", "-json", "-no-color", str(path), quiet=True))

    def with_state(self, verb, *words):
        state, values = self.work / "state", self.work / "emulator.tfvars.json"
        return self.run(verb, "-no-color", f"-state={state}", f"-var-file={values}", *words)

    def changes(self, *words):
        """What a plan would change: (address, actions, attributes that differ)."""
        plan = self.work / "plan"
        self.with_state("plan", "-refresh=true", f"-out={plan}", *words)
        found = []
        for it in self.show(plan).get("resource_changes", []):
            actions = it["change"]["actions"]
            if actions in (["no-op"], ["read"]):
                continue
            before, after = it["change"]["before"] or {}, it["change"]["after"] or {}
            unknown = it["change"].get("after_unknown") or {}
            names = {name for name in {*before, *after} if before.get(name) != after.get(name)}
            found.append((it["address"], "/".join(actions), sorted(name for name in names if not unknown.get(name))))
        return sorted(found)


def explained(gaps, change):
    """Whether the emulator's answer explains all of a difference: what it drops, it drops of every resource of a type."""
    address, actions, attributes = change
    kind = re.sub(r"\[[^\]]*\]", "", address).split(".")[-2]
    gap = gaps.get(kind)
    return gap is not None and actions == gap["actions"] and set(attributes) <= set(gap["attributes"])


def main(directory, state_json):
    committed = json.loads((HERE / "emulator-gaps.json").read_text())
    gaps = {it["type"]: it for it in committed["second_plan"]}
    if len(gaps) > 10:
        sys.exit(f"emulator-gaps.json explains {len(gaps)} types of resource; at most ten may differ")
    with Emulator() as emulator, tempfile.TemporaryDirectory(prefix="mcp-eks-terraform-") as work:
        terraform = Environment(directory.resolve(), emulator.url, pathlib.Path(work))
        terraform.run("init", "-no-color", "-backend=false", "-lockfile=readonly")
        terraform.with_state("apply", "-auto-approve")
        applied = terraform.show(pathlib.Path(work) / "state")
        state_json.write_text(json.dumps(applied))
        resources = terraform.run("state", "list", f"-state={work}/state", quiet=True).split()
        print(f"applied: {len(resources)} resources and data sources")

        second = terraform.changes()
        unexplained = [it for it in second if not explained(gaps, it)]
        print(f"second plan: {len(second)} resources differ, {len(unexplained)} of them unexplained")
        if unexplained:
            sys.exit("the second plan is not empty:\n" + "\n".join(f"  {it}" for it in unexplained))
        seen = {re.sub(r"\[[^\]]*\]", "", address).split(".")[-2] for address, _, _ in second}
        if stale := sorted(set(gaps) - seen):
            sys.exit(f"emulator-gaps.json explains what no longer differs: {', '.join(stale)}")

        # One value, the resources it speaks of, and nothing else. Only they are applied: the emulator cannot mend its gaps.
        change = committed["one_change"]
        (terraform.work / "changed.tfvars.json").write_text(json.dumps(change["values"]))
        third = [it for it in terraform.changes(f"-var-file={work}/changed.tfvars.json") if not explained(gaps, it)]
        if sorted(it[0] for it in third) != sorted(change["changes"]):
            sys.exit(f"one value changed\n  {third}\nwhere only these should:\n  {change['changes']}")
        terraform.with_state("apply", "-auto-approve", f"-var-file={work}/changed.tfvars.json", *(f"-target={it}" for it in change["changes"]))
        print(f"one value changed {', '.join(it[0] for it in third)} and nothing else")

        terraform.with_state("destroy", "-auto-approve")
        left = terraform.run("state", "list", f"-state={work}/state", quiet=True).split()
        if left:
            sys.exit(f"destroy left {left}")
        print("destroyed: the state is empty")
        left = remains(emulator.url)
        if left:
            sys.exit(f"destroy left in the emulator: {left}")
        print("destroyed: the emulator holds nothing of ours")
        print("; ".join(f"{verb} {seconds:.0f} s" for verb, seconds in terraform.took))


def remains(url):
    """What the emulator still lists of the kinds that cost money or give access."""
    import botocore.session

    session = botocore.session.Session()
    session.set_credentials(ACCOUNT, "emulator")
    client = lambda service: session.create_client(service, region_name="us-west-2", endpoint_url=url)
    left = {
        "roles": [it["RoleName"] for it in client("iam").list_roles()["Roles"] if it["RoleName"].startswith("mcp-")],
        "vpcs": [it["VpcId"] for it in client("ec2").describe_vpcs()["Vpcs"] if not it.get("IsDefault")],
        "nat gateways": [it["NatGatewayId"] for it in client("ec2").describe_nat_gateways()["NatGateways"] if it["State"] != "deleted"],
        "clusters": client("eks").list_clusters()["clusters"],
        "databases": [it["DBInstanceIdentifier"] for it in client("rds").describe_db_instances()["DBInstances"]],
        "buckets": [it["Name"] for it in client("s3").list_buckets()["Buckets"]],
        "file systems": [it["FileSystemId"] for it in client("efs").describe_file_systems()["FileSystems"]],
        "repositories": [it["repositoryName"] for it in client("ecr").describe_repositories()["repositories"]],
        "queues": client("sqs").list_queues().get("QueueUrls", []),
        "log groups": [it["logGroupName"] for it in client("logs").describe_log_groups()["logGroups"]],
        "alarms": [it["AlarmName"] for it in client("cloudwatch").describe_alarms()["MetricAlarms"]],
        "trails": [it["Name"] for it in client("cloudtrail").describe_trails()["trailList"]],
    }
    return {kind: names for kind, names in left.items() if names}


main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))

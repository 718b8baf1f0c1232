"""Whether each role that Terraform made can do its job and not its neighbour's, by the evaluator of MiniStack.

In: the applied state, and role-cases.json: for each role calls it makes and calls it must not make. A call of one role is
refused to every other, unless that one's list has it too. Policies that AWS keeps come from moto. Out: how many answers were
right; the first wrong one of each role ends the program.
"""

import json
import pathlib
import sys

from ministack.core.iam_evaluator import EvalContext, evaluate, evaluate_trust_policy, parse_policy_document

from emulators import ACCOUNT, REGION

HERE = pathlib.Path(__file__).resolve().parent
EKS = "pods.eks.amazonaws.com"
TAG = "aws:RequestTag/"


def resources(module):
    yield from (it for it in module.get("resources", []) if it["mode"] == "managed")
    for child in module.get("child_modules", []):
        yield from resources(child)


class Role:
    """A role with everything it is allowed, its own policies and those of AWS."""

    def __init__(self, values):
        self.name, self.arn = values["name"], values["arn"]
        self.trust = json.loads(values["assume_role_policy"])
        self.policies = []

    def may(self, action, resource, keys=()):
        return evaluate(context(self.arn, action, resource, dict(keys)), self.policies).decision == "Allow"

    def is_given_to(self, service, tags, account=ACCOUNT):
        """Whether a service may take the role for a pod with these session tags."""
        keys = {"aws:SourceAccount": account, **{f"{TAG}{name}": value for name, value in tags.items()}}
        return all(
            trusts(self.trust, service, context(service, action, self.arn, keys))
            for action in ("sts:AssumeRole", "sts:TagSession")
        )

    @property
    def tags(self):
        """The session tags that the role asks for."""
        wanted = self.trust["Statement"][0]["Condition"]["StringEquals"]
        return {key.removeprefix(TAG): value for key, value in wanted.items() if key.startswith(TAG)}


def context(principal, action, resource, keys):
    return EvalContext(
        principal_arn=principal,
        principal_type="AssumedRole",
        principal_account=ACCOUNT,
        action=action,
        resource_arn=resource,
        region=REGION,
        source_ip="10.0.0.1",
        secure_transport=True,
        service_context={key.lower(): value for key, value in keys.items()},
    )


def trusts(document, service, where):
    """The evaluator matches no service but root; which service is named is looked at here, the rest is its own."""
    statements = [it for it in document["Statement"] if it["Principal"] == {"Service": service}]
    as_root = f"arn:aws:iam::{ACCOUNT}:root"
    return bool(statements) and evaluate_trust_policy({**document, "Statement": statements}, as_root, where)


def read(state, moto):
    """Every role of a controller or a server in the state, by what role-cases.json calls it."""
    found, by_name = {}, {}
    everything = list(resources(state["values"]["root_module"]))
    for it in everything:
        if it["type"] != "aws_iam_role" or f'"{EKS}"' not in it["values"]["assume_role_policy"]:
            continue
        called = {"this": it.get("index"), "server": f"server {it.get('index')}", "controller": "karpenter"}[it["name"]]
        found[called] = by_name[it["values"]["name"]] = Role(it["values"])
    iam = moto.client("iam")
    for it in everything:
        role = by_name.get(it["values"].get("role"))
        if role and it["type"] == "aws_iam_role_policy":
            role.policies.append(parse_policy_document(it["values"]["policy"]))
        if role and it["type"] == "aws_iam_role_policy_attachment":
            arn = it["values"]["policy_arn"]
            version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
            document = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]
            role.policies.append(parse_policy_document(document))
    return found


def check(state, moto):
    roles = read(state, moto)
    cluster = state["values"]["outputs"]["cluster_name"]["value"]
    words = {
        "region": REGION,
        "account": ACCOUNT,
        "cluster": cluster,
        "server_role": roles["server aws"].arn,
        "operator_role": roles["operator"].arn,
    }
    text = (HERE / "role-cases.json").read_text()
    for name, value in words.items():
        text = text.replace("{" + name + "}", value)
    cases = json.loads(text)
    if cases.keys() != roles.keys():
        sys.exit(f"role-cases.json is about {sorted(cases)}, and there are {sorted(roles)}")
    wrong, right = [], 0
    for name, role in roles.items():
        own = [tuple(it[:2]) for it in cases[name]["may"]]
        neighbours = [it for other in cases if other != name for it in cases[other]["may"] if tuple(it[:2]) not in own]
        expected = [(it, True) for it in cases[name]["may"]] + [(it, False) for it in cases[name]["may_not"] + neighbours]
        for call, allowed in expected:
            if role.may(*call) != allowed:
                wrong.append(f"{name} {'may not' if allowed else 'may'} {call}")
            right += 1
        for other, neighbour in roles.items():
            if role.is_given_to(EKS, neighbour.tags) != (other == name):
                wrong.append(f"the role of {name} is {'not given to its own pods' if other == name else f'given to pods of {other}'}")
            right += 1
        strangers = {
            "another account": role.is_given_to(EKS, role.tags, account="210987654321"),
            "another cluster": role.is_given_to(EKS, {**role.tags, "eks-cluster-name": "another"}),
            "machines": role.is_given_to("ec2.amazonaws.com", role.tags),
        }
        wrong += [f"the role of {name} is given to {it}" for it, given in strangers.items() if given]
        right += len(strangers)
    if wrong:
        sys.exit("roles:\n" + "\n".join(f"  {it}" for it in wrong))
    print(f"roles: {len(roles)}, each does its job and not its neighbours': {right} answers as expected")

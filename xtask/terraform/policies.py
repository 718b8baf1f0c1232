"""Shows every IAM policy of an applied state to parliament; fails on each finding without a reason in policy-exceptions.json.

    policies.py STATE.json
"""

import json
import pathlib
import sys

import parliament

HERE = pathlib.Path(__file__).resolve().parent


def resources(module):
    yield from module.get("resources", [])
    for child in module.get("child_modules", []):
        yield from resources(child)


def main(path):
    exceptions = json.loads((HERE / "policy-exceptions.json").read_text())
    unused = {(it["policy"], it["issue"], it["detail"]) for it in exceptions}
    state = json.loads(path.read_text())
    policies = [
        (it["address"], it["values"]["policy"])
        for it in resources(state["values"]["root_module"])
        if it["type"] in ("aws_iam_role_policy", "aws_iam_policy") and it["mode"] == "managed"
    ]
    if not policies:
        sys.exit("the state holds no policy: nothing was judged")
    findings = []
    for address, text in policies:
        for it in parliament.analyze_policy_string(text).findings:
            known = [
                one for one in exceptions
                if address.startswith(one["policy"]) and it.issue == one["issue"] and one["detail"] in f"{it.detail} {it.location}"
            ]
            if known:
                unused -= {(one["policy"], one["issue"], one["detail"]) for one in known}
            else:
                findings.append(f"{address}: {it.issue}: {it.detail} {it.location}")
    if unused:
        findings.append(f"policy-exceptions.json excuses what nobody finds: {sorted(unused)}")
    print(f"{len(policies)} policies, {len(findings)} findings without a reason, {len(exceptions)} with one")
    if findings:
        sys.exit("\n".join(findings))


main(pathlib.Path(sys.argv[1]))

"""Gives one IAM user of an emulator one policy after the other.

    policies.py URL ACCESS_KEY SECRET_KEY USER

Out: first a line with the user's keys as JSON, then `ok` for every line of standard input, a policy document, once it holds.
The role `reader` may be assumed by the user `mcp`; its policy allows describing instances and regions alone.
"""

import json
import sys

import botocore.session

URL, KEY, SECRET, USER = sys.argv[1:5]
iam = botocore.session.get_session().create_client(
    "iam", region_name="us-west-2", endpoint_url=URL, aws_access_key_id=KEY, aws_secret_access_key=SECRET
)
iam.create_user(UserName=USER)
key = iam.create_access_key(UserName=USER)["AccessKey"]
if USER == "mcp":
    trust = {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::123456789012:user/mcp"}, "Action": "sts:AssumeRole"}
    may = {"Effect": "Allow", "Action": ["ec2:DescribeInstances", "ec2:DescribeRegions"], "Resource": "*"}
    iam.create_role(
        RoleName="reader", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    )
    iam.put_role_policy(
        RoleName="reader", PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [may]})
    )
print(json.dumps({"key": key["AccessKeyId"], "secret": key["SecretAccessKey"]}), flush=True)
for line in sys.stdin:
    if json.loads(line)["Statement"]:
        iam.put_user_policy(UserName=USER, PolicyName="p", PolicyDocument=line)
    else:
        for name in iam.list_user_policies(UserName=USER)["PolicyNames"]:
            iam.delete_user_policy(UserName=USER, PolicyName=name)
    print("ok", flush=True)

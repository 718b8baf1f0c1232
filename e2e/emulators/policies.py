"""Gives one IAM user of MiniStack one policy after the other.

    policies.py MINISTACK_URL ACCESS_KEY SECRET_KEY

Out: first a line with the user's keys as JSON, then `ok` for every line of standard input, a policy document, once it holds.
The role `reader` may be assumed by that user; its policy allows describing instances and regions alone.
"""

import json
import sys

import botocore.session

URL, KEY, SECRET = sys.argv[1:4]
iam = botocore.session.get_session().create_client(
    "iam", region_name="us-west-2", endpoint_url=URL, aws_access_key_id=KEY, aws_secret_access_key=SECRET
)
iam.create_user(UserName="mcp")
key = iam.create_access_key(UserName="mcp")["AccessKey"]
trust = {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::123456789012:user/mcp"}, "Action": "sts:AssumeRole"}
iam.create_role(
    RoleName="reader", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
)
may = {"Effect": "Allow", "Action": ["ec2:DescribeInstances", "ec2:DescribeRegions"], "Resource": "*"}
iam.put_role_policy(
    RoleName="reader", PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [may]})
)
print(json.dumps({"key": key["AccessKeyId"], "secret": key["SecretAccessKey"]}), flush=True)
for line in sys.stdin:
    if json.loads(line)["Statement"]:
        iam.put_user_policy(UserName="mcp", PolicyName="p", PolicyDocument=line)
    else:
        for name in iam.list_user_policies(UserName="mcp")["PolicyNames"]:
            iam.delete_user_policy(UserName="mcp", PolicyName=name)
    print("ok", flush=True)

"""Makes an EKS cluster through botocore, so that nothing of ours is on both sides.

    cluster.py MINISTACK_URL NAME
"""

import sys

import botocore.session

URL, NAME = sys.argv[1:3]
botocore.session.get_session().create_client(
    "eks",
    region_name="us-west-2",
    endpoint_url=URL,
    aws_access_key_id="test",
    aws_secret_access_key="test",
).create_cluster(name=NAME, roleArn="arn:aws:iam::123456789012:role/cluster", resourcesVpcConfig={})

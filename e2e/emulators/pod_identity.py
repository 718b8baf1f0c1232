"""Makes what stands in AWS before an operator is installed: a cluster, roles, an association, and something to look at.

    pod_identity.py MINISTACK_URL CLUSTER OPERATOR_POLICY

The operator's role has exactly the policy given. The roles `reader` and `writer` may be given to pods, and may do more than any
server is meant to. MiniStack knows no `aws:SourceAccount`, which a trust policy in AWS should ask for. Out: JSON.
"""

import json
import sys

import botocore.session
from botocore.config import Config

URL, CLUSTER, POLICY = sys.argv[1:4]


def client(service):
    return botocore.session.get_session().create_client(
        service,
        region_name="us-west-2",
        endpoint_url=URL,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(s3={"addressing_style": "path"}),
    )


IAM, EKS, EC2, S3 = client("iam"), client("eks"), client("ec2"), client("s3")


def document(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def role(path, name, policy):
    principal = {"Service": "pods.eks.amazonaws.com"}
    trust = {"Effect": "Allow", "Principal": principal, "Action": ["sts:AssumeRole", "sts:TagSession"]}
    made = IAM.create_role(Path=path, RoleName=name, AssumeRolePolicyDocument=document(trust))
    IAM.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=policy)
    return made["Role"]["Arn"]


OF_CLUSTER = role("/", "cluster", document({"Effect": "Allow", "Action": "ec2:Describe*", "Resource": "*"}))
EKS.create_cluster(name=CLUSTER, roleArn=OF_CLUSTER, resourcesVpcConfig={})
OPERATOR = role("/", "mcp-eks-operator", POLICY)
EVERYTHING = document({"Effect": "Allow", "Action": ["ec2:*", "s3:*"], "Resource": "*"})
READER, WRITER = (role("/mcp/", name, EVERYTHING) for name in ("reader", "writer"))
EKS.create_pod_identity_association(
    clusterName=CLUSTER, namespace="mcp-eks-system", serviceAccount="mcp-eks-operator", roleArn=OPERATOR
)
S3.create_bucket(Bucket="shop-data", CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
S3.put_object(Bucket="shop-data", Key="notes/hello.txt", Body=b"hello")
INSTANCE = EC2.run_instances(ImageId="ami-12345678", InstanceType="t3.micro", MinCount=1, MaxCount=1)["Instances"][0]
print(json.dumps({"instance": INSTANCE["InstanceId"], "reader": READER, "writer": WRITER}))

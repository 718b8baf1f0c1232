"""Makes what the AWS suite looks at, through botocore, so that nothing of ours is on both sides.

    fixtures.py MINISTACK_URL ACCESS_KEY SECRET_KEY

Out: one JSON object with the ids of what was made.
"""

import datetime
import io
import json
import sys
import time
import zipfile

import botocore.session
from botocore.config import Config

URL, KEY, SECRET = sys.argv[1:4]
REGION = "us-west-2"
SESSION = botocore.session.get_session()
NOW = datetime.datetime.now(datetime.timezone.utc)


def client(service, region=REGION, **more):
    return SESSION.create_client(
        service,
        region_name=region,
        endpoint_url=URL,
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
        config=Config(s3={"addressing_style": "path"}),
        **more,
    )


def ec2(region, name, tags):
    tags = [{"Key": key, "Value": value} for key, value in {"Name": name, **tags}.items()]
    made = client("ec2", region).run_instances(
        ImageId="ami-12345678",
        InstanceType="t3.micro",
        MinCount=1,
        MaxCount=1,
        TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
    )
    return made["Instances"][0]["InstanceId"]


def ecs():
    ecs = client("ecs")
    ecs.create_cluster(clusterName="shop", tags=[{"key": "team", "value": "blue"}])
    for image in ("nginx:1.27", "nginx:1.28"):
        ecs.register_task_definition(
            family="web",
            cpu="256",
            memory="512",
            networkMode="awsvpc",
            requiresCompatibilities=["FARGATE"],
            containerDefinitions=[
                {
                    "name": "web",
                    "image": image,
                    "essential": True,
                    "portMappings": [{"containerPort": 8080}],
                    "environment": [{"name": "PASSWORD", "value": "hunter2-must-not-be-shown"}],
                    "logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-group": "/shop/web"}},
                }
            ],
        )
    ecs.create_service(cluster="shop", serviceName="web", taskDefinition="web:1", desiredCount=2, launchType="FARGATE")
    ecs.run_task(cluster="shop", taskDefinition="web:1", count=1, launchType="FARGATE")


def rds():
    rds = client("rds")
    rds.create_db_instance(
        DBInstanceIdentifier="orders",
        Engine="postgres",
        DBInstanceClass="db.t3.micro",
        AllocatedStorage=20,
        MasterUsername="admin1",
        MasterUserPassword="hunter2-must-not-be-shown",
        EnablePerformanceInsights=True,
        Tags=[{"Key": "team", "Value": "blue"}],
    )
    rds.create_db_instance(
        DBInstanceIdentifier="plain",
        Engine="postgres",
        DBInstanceClass="db.t3.micro",
        AllocatedStorage=20,
        MasterUsername="admin1",
        MasterUserPassword="hunter2-must-not-be-shown",
    )
    for _ in range(60):
        if all(it["DBInstanceStatus"] == "available" for it in rds.describe_db_instances()["DBInstances"]):
            break
        time.sleep(0.5)
    rds.create_db_snapshot(DBInstanceIdentifier="orders", DBSnapshotIdentifier="orders-first")


def cloudwatch():
    cloudwatch = client("cloudwatch")
    for minutes in (5, 10, 15):
        cloudwatch.put_metric_data(
            Namespace="Shop",
            MetricData=[
                {
                    "MetricName": "Errors",
                    "Dimensions": [{"Name": "Service", "Value": "web"}],
                    "Timestamp": NOW - datetime.timedelta(minutes=minutes),
                    "Value": minutes,
                    "Unit": "Count",
                }
            ],
        )
    cloudwatch.put_metric_alarm(
        AlarmName="web-errors",
        AlarmDescription="Errors of the web service",
        Namespace="Shop",
        MetricName="Errors",
        Dimensions=[{"Name": "Service", "Value": "web"}],
        Statistic="Sum",
        Period=300,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
        AlarmActions=["arn:aws:sns:us-west-2:123456789012:pager"],
    )
    cloudwatch.set_alarm_state(AlarmName="web-errors", StateValue="ALARM", StateReason="three of three points above 1")
    cloudwatch.put_dashboard(
        DashboardName="shop",
        DashboardBody=json.dumps({"widgets": [{"type": "text", "properties": {"markdown": "hello"}}]}),
    )
    logs = client("logs")
    logs.create_log_group(logGroupName="/shop/web")
    logs.create_log_stream(logGroupName="/shop/web", logStreamName="one")
    at = int(NOW.timestamp() * 1000) - 60_000
    logs.put_log_events(
        logGroupName="/shop/web",
        logStreamName="one",
        logEvents=[{"timestamp": at + n, "message": f"{'ERROR' if n == 1 else 'INFO'} line {n}"} for n in range(3)],
    )


def s3():
    s3 = client("s3")
    s3.create_bucket(Bucket="shop-data", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket="shop-data", Key="notes/hello.txt", Body="hello, wörld\n".encode(), ContentType="text/plain")
    s3.put_object(Bucket="shop-data", Key="notes/raw.bin", Body=bytes(range(256)))
    s3.put_object(Bucket="shop-data", Key="notes/long.txt", Body="é" * 30_000)
    for number in range(60):
        s3.put_object(Bucket="shop-data", Key=f"many/{number:03}", Body=b"")


def lambdas():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("main.py", "def handle(event, context):\n    return {'got': event}\n")
    client("iam").create_role(RoleName="fn", AssumeRolePolicyDocument="{}")
    client("lambda").create_function(
        FunctionName="echo",
        Runtime="python3.11",
        Handler="main.handle",
        Role="arn:aws:iam::123456789012:role/fn",
        Code={"ZipFile": file.getvalue()},
    )


def dynamodb():
    dynamodb = client("dynamodb")
    dynamodb.create_table(
        TableName="orders",
        AttributeDefinitions=[
            {"AttributeName": "customer", "AttributeType": "S"},
            {"AttributeName": "number", "AttributeType": "N"},
        ],
        KeySchema=[
            {"AttributeName": "customer", "KeyType": "HASH"},
            {"AttributeName": "number", "KeyType": "RANGE"},
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    for number in range(120):
        item = {
            "customer": {"S": "ann"},
            "number": {"N": str(number)},
            "big": {"N": "9007199254740993"},
            "paid": {"BOOL": number % 2 == 0},
            "lines": {"L": [{"M": {"sku": {"S": "a-1"}, "count": {"N": "2"}}}]},
        }
        dynamodb.put_item(TableName="orders", Item=item)


def eks():
    client("eks").create_cluster(
        name="base",
        version="1.35",
        roleArn="arn:aws:iam::123456789012:role/fn",
        resourcesVpcConfig={"subnetIds": ["subnet-1", "subnet-2"]},
    )


made = {
    "running": ec2(REGION, "web-1", {"team": "blue"}),
    "stopped": ec2(REGION, "web-2", {"team": "red"}),
    "elsewhere": ec2("eu-west-1", "web-3", {"team": "blue"}),
}
client("ec2").stop_instances(InstanceIds=[made["stopped"]])
for step in (ecs, rds, cloudwatch, s3, lambdas, dynamodb, eks):
    step()
made["etag"] = client("s3").head_object(Bucket="shop-data", Key="notes/hello.txt")["ETag"]
print(json.dumps(made))

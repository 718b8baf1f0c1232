//! The table. Resource types are those of AWS's Service Authorization Reference; the suite `aws` checks them against the
//! copy of it that parliament carries, and runs every tool with and without each action.

use crate::{Access, Kind, On, Tool};

/// Actions that every identity may take whatever its policies say.
pub const ALWAYS_ALLOWED: &[&str] = &["sts:GetCallerIdentity"];

const fn on(action: &'static str, arns: &'static [&'static str]) -> Access {
    Access { action, on: On::Arns(arns) }
}

const fn all(action: &'static str, reason: &'static str) -> Access {
    Access { action, on: On::All(reason) }
}

const fn read(name: &'static str, needs: &'static [Access]) -> Tool {
    Tool { name, kind: Kind::Read, needs }
}

const fn write(name: &'static str, needs: &'static [Access]) -> Tool {
    Tool { name, kind: Kind::Write, needs }
}

const REGIONS: Access = all("ec2:DescribeRegions", "EC2 has no resource level for its Describe actions");
const INSTANCES: Access = all("ec2:DescribeInstances", "EC2 has no resource level for its Describe actions");
const EC2_INSTANCE: &[&str] = &["arn:{partition}:ec2:{region}:{account}:instance/*"];
const ECS_CLUSTER: &[&str] = &["arn:{partition}:ecs:{region}:{account}:cluster/*"];
const ECS_SERVICE: &[&str] = &["arn:{partition}:ecs:{region}:{account}:service/*"];
const ECS_TASK: &[&str] = &["arn:{partition}:ecs:{region}:{account}:task/*"];
const ECS_INSTANCE: &[&str] = &["arn:{partition}:ecs:{region}:{account}:container-instance/*"];
const RDS_DB: &[&str] = &["arn:{partition}:rds:{region}:{account}:db:*"];
const RDS_SNAPSHOT: &[&str] =
    &["arn:{partition}:rds:{region}:{account}:db:*", "arn:{partition}:rds:{region}:{account}:snapshot:*"];
const ALARM: &[&str] = &["arn:{partition}:cloudwatch:{region}:{account}:alarm:*"];
const DASHBOARD: &[&str] = &["arn:{partition}:cloudwatch::{account}:dashboard/*"];
const LOG_GROUP: &[&str] = &["arn:{partition}:logs:{region}:{account}:log-group:*"];
const BUCKET: &[&str] = &["arn:{partition}:s3:::*"];
const OBJECT: &[&str] = &["arn:{partition}:s3:::*/*"];
const EKS_CLUSTER: &[&str] = &["arn:{partition}:eks:{region}:{account}:cluster/*"];
const FUNCTION: &[&str] = &["arn:{partition}:lambda:{region}:{account}:function:*"];
const TABLE: &[&str] = &[
    "arn:{partition}:dynamodb:{region}:{account}:table/*",
    "arn:{partition}:dynamodb:{region}:{account}:table/*/index/*",
];

/// Every tool of the server.
pub const TOOLS: &[Tool] = &[
    read("aws_list_regions", &[REGIONS]),
    read("aws_whoami", &[]),
    Tool {
        name: "bedrock_converse",
        kind: Kind::Cost,
        needs: &[Access { action: "bedrock:InvokeModel", on: On::Models }],
    },
    read(
        "bedrock_list_models",
        &[all("bedrock:ListFoundationModels", "the list of models belongs to AWS, not to an account")],
    ),
    read(
        "cloudwatch_describe_alarm",
        &[on("cloudwatch:DescribeAlarms", ALARM), on("cloudwatch:DescribeAlarmHistory", ALARM)],
    ),
    read("cloudwatch_get_dashboard", &[on("cloudwatch:GetDashboard", DASHBOARD)]),
    read(
        "cloudwatch_get_metric_statistics",
        &[all("cloudwatch:GetMetricStatistics", "metrics are not resources of IAM")],
    ),
    read("cloudwatch_list_alarms", &[on("cloudwatch:DescribeAlarms", ALARM), REGIONS]),
    read("cloudwatch_list_metrics", &[all("cloudwatch:ListMetrics", "metrics are not resources of IAM")]),
    read(
        "cost_get_usage",
        &[all("ce:GetCostAndUsage", "the account's own costs have no resource; a billing view would")],
    ),
    read("dynamodb_query", &[on("dynamodb:Query", TABLE)]),
    read("ec2_describe_instance", &[INSTANCES]),
    read("ec2_list_instances", &[INSTANCES, REGIONS]),
    write("ec2_start_instance", &[INSTANCES, on("ec2:StartInstances", EC2_INSTANCE)]),
    write("ec2_stop_instance", &[INSTANCES, on("ec2:StopInstances", EC2_INSTANCE)]),
    read("ecs_describe_cluster", &[on("ecs:DescribeClusters", ECS_CLUSTER)]),
    read("ecs_describe_service", &[on("ecs:DescribeServices", ECS_SERVICE)]),
    read(
        "ecs_describe_task_definition",
        &[all("ecs:DescribeTaskDefinition", "ECS has no resource level for describing task definitions")],
    ),
    read(
        "ecs_list_clusters",
        &[
            all("ecs:ListClusters", "ECS has no resource level for listing clusters"),
            on("ecs:DescribeClusters", ECS_CLUSTER),
            REGIONS,
        ],
    ),
    read(
        "ecs_list_services",
        &[
            all("ecs:ListServices", "ECS has no resource level for listing services"),
            on("ecs:DescribeServices", ECS_SERVICE),
        ],
    ),
    read("ecs_list_tasks", &[on("ecs:ListTasks", ECS_INSTANCE), on("ecs:DescribeTasks", ECS_TASK)]),
    write("ecs_update_service", &[on("ecs:DescribeServices", ECS_SERVICE), on("ecs:UpdateService", ECS_SERVICE)]),
    read(
        "eks_list_clusters",
        &[
            all("eks:ListClusters", "EKS has no resource level for listing clusters"),
            on("eks:DescribeCluster", EKS_CLUSTER),
            REGIONS,
        ],
    ),
    write("lambda_invoke", &[on("lambda:GetFunctionConfiguration", FUNCTION), on("lambda:InvokeFunction", FUNCTION)]),
    read(
        "lambda_list_functions",
        &[all("lambda:ListFunctions", "Lambda has no resource level for listing functions"), REGIONS],
    ),
    Tool {
        name: "logs_query",
        kind: Kind::Sensitive,
        needs: &[
            on("logs:StartQuery", LOG_GROUP),
            on("logs:GetQueryResults", LOG_GROUP),
            all("logs:StopQuery", "a query is not a resource of IAM"),
        ],
    },
    write("rds_create_snapshot", &[on("rds:DescribeDBInstances", RDS_DB), on("rds:CreateDBSnapshot", RDS_SNAPSHOT)]),
    read("rds_describe_db_instance", &[on("rds:DescribeDBInstances", RDS_DB)]),
    read(
        "rds_get_performance",
        &[
            on("rds:DescribeDBInstances", RDS_DB),
            on("pi:GetResourceMetrics", &["arn:{partition}:pi:{region}:{account}:metrics/rds/*"]),
        ],
    ),
    read("rds_list_db_instances", &[on("rds:DescribeDBInstances", RDS_DB), REGIONS]),
    read("rds_list_snapshots", &[on("rds:DescribeDBSnapshots", RDS_SNAPSHOT), REGIONS]),
    Tool { name: "s3_get_object", kind: Kind::Sensitive, needs: &[on("s3:GetObject", OBJECT)] },
    read("s3_list_buckets", &[all("s3:ListAllMyBuckets", "S3 has no resource level for listing buckets")]),
    read("s3_list_objects", &[on("s3:ListBucket", BUCKET)]),
    // Without s3:ListBucket, S3 answers "forbidden" for an object that is not there.
    write("s3_put_object", &[on("s3:ListBucket", BUCKET), on("s3:GetObject", OBJECT), on("s3:PutObject", OBJECT)]),
];

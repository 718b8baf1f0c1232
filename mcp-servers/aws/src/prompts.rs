//! What a person may ask for by name: three ways through the tools that end in an answer.
//!
//! Texts alone; they call nothing. A prompt is there when the tools it names are compiled in.

use mcp_kit::{Arguments, Message, Prompt};

pub(crate) fn all() -> Vec<Prompt> {
    let mut prompts = Vec::new();
    if cfg!(feature = "cloudwatch") {
        prompts.push(place(
            Prompt::new(
                "investigate_alarm",
                "Investigate alarm",
                "Find out why a CloudWatch alarm fires.",
                investigate,
            )
            .required("alarm", "Name of the alarm"),
        ));
    }
    if cfg!(feature = "ecs") {
        prompts.push(place(
            Prompt::new(
                "troubleshoot_ecs_service",
                "Troubleshoot ECS service",
                "Find out why an ECS service is not healthy.",
                troubleshoot,
            )
            .required("cluster", "Name of the cluster")
            .required("service", "Name of the service"),
        ));
    }
    if cfg!(all(feature = "ec2", feature = "rds", feature = "cloudwatch")) {
        prompts.push(place(Prompt::new(
            "idle_capacity_report",
            "Idle capacity report",
            "List instances and databases that cost money and do little.",
            idle,
        )));
    }
    prompts
}

fn place(prompt: Prompt) -> Prompt {
    prompt.optional("region", "Region; the server's own without it").optional("account", "Alias of another account")
}

/// Every tool call of the conversation goes to the same place.
fn at(arguments: &Arguments) -> String {
    let region = arguments.get("region").map(|region| format!(" region={region:?}"));
    let account = arguments.get("account").map(|account| format!(" account={account:?}"));
    match format!("{}{}", region.unwrap_or_default(), account.unwrap_or_default()) {
        none if none.is_empty() => String::new(),
        some => format!("Pass{some} to every tool. "),
    }
}

fn investigate(arguments: &Arguments) -> Vec<Message> {
    let alarm = arguments.get_or("alarm", "");
    vec![Message::user(format!(
        "Investigate the CloudWatch alarm {alarm:?}. {}Change nothing.\n\
         1. cloudwatch_describe_alarm: its state, threshold, dimensions, and when it changed.\n\
         2. cloudwatch_get_metric_statistics for its metric, from three hours before the change until now; then the metrics \
         beside it (cloudwatch_list_metrics with the same dimensions).\n\
         3. What the dimensions name: ecs_describe_service and ecs_list_tasks, ec2_describe_instance, \
         rds_describe_db_instance and rds_get_performance.\n\
         4. If logs_query is there, the errors of that time.\n\
         Then tell: what happened and since when, the likely cause with the evidence for it, what else could explain it, and \
         what to do next. Say what you could not see.",
        at(arguments)
    ))]
}

fn troubleshoot(arguments: &Arguments) -> Vec<Message> {
    let (cluster, service) = (arguments.get_or("cluster", ""), arguments.get_or("service", ""));
    vec![Message::user(format!(
        "Find out why the ECS service {service:?} of cluster {cluster:?} is not healthy. {}Change nothing.\n\
         1. ecs_describe_service: counts, deployments, latest events.\n\
         2. ecs_list_tasks with status STOPPED: exit codes and stop reasons; then RUNNING: health.\n\
         3. ecs_describe_task_definition: image, CPU and memory, log group.\n\
         4. cloudwatch_get_metric_statistics of AWS/ECS CPUUtilization and MemoryUtilization for ClusterName and ServiceName.\n\
         5. If logs_query is there, the last errors of its log group.\n\
         Then tell: what is wrong, the evidence, and the smallest change that mends it (for example with ecs_update_service, \
         which a person decides on).",
        at(arguments)
    ))]
}

fn idle(arguments: &Arguments) -> Vec<Message> {
    vec![Message::user(format!(
        "Report what costs money and does little. {}Change nothing.\n\
         1. ec2_list_instances with state running, and rds_list_db_instances; with region \"all\" if no region is given.\n\
         2. For each, cloudwatch_get_metric_statistics over 14d: AWS/EC2 CPUUtilization and NetworkOut by InstanceId; AWS/RDS \
         CPUUtilization and DatabaseConnections by DBInstanceIdentifier.\n\
         3. cost_get_usage of the last month by SERVICE, to see what matters.\n\
         Then give a table: resource, region, type, average and peak use, what it costs a month as far as you can tell, and what \
         you propose (stop, smaller type, none). Begin with the largest. Say what you could not measure.",
        at(arguments)
    ))]
}

//! `ecs_list_clusters`, `ecs_describe_cluster`, `ecs_list_tasks`, `ecs_describe_task_definition`.

use std::{collections::BTreeMap, sync::Arc};

use aws_sdk_ecs::types::{Cluster, ClusterField, ContainerDefinition, DesiredStatus, Task};
use mcp_kit::{Tool, ToolError};

use super::{listing, reading, spread::paged};
use crate::{
    answer::{Chunk, PAGE, answer, arguments, own, said, time},
    place::{Aws, Place, client},
};

arguments!(List { ; cursor: String });
arguments!(OneCluster { cluster: String ; });
arguments!(Tasks {
    cluster: String ;
    service: String,
    /// RUNNING (default) or STOPPED
    status: String,
    cursor: String,
});
arguments!(OneDefinition {
    /// family, family:revision or ARN
    task_definition: String ;
});
paged!(List, Tasks);

answer!(Found { name: String, region: String, status: String, services: i32, running: i32, pending: i32 ; });
answer!(Details {
    name: String, status: String, services: i32, running: i32, pending: i32, instances: i32,
    capacity_providers: Vec<String>, settings: BTreeMap<String, String>, tags: BTreeMap<String, String> ;
});
answer!(FoundTask {
    task: String, status: String, desired: String, containers: Vec<Container> ;
    definition: String, group: String, launch_type: String, health: String, zone: String, started: String, stopped: String,
    stop_code: String, stopped_reason: String,
});
answer!(Container { name: String ; status: String, exit_code: i32, reason: String });
answer!(Definition {
    family: String, revision: i32, status: String, containers: Vec<Defined> ;
    cpu: String, memory: String, network_mode: String, task_role: String, execution_role: String, registered: String,
});
answer!(Defined {
    name: String, image: String, essential: bool, ports: Vec<i32>,
    /// Names alone: values may be secrets.
    environment: Vec<String>, secrets: Vec<String> ;
    cpu: i32, memory: i32, memory_reservation: i32, log_group: String,
});

pub(super) fn tools(aws: &Arc<Aws>) -> Vec<Tool> {
    vec![
        listing(
            aws,
            "ecs_list_clusters",
            "List ECS clusters",
            "List clusters with counts of services and tasks.",
            true,
            list,
        ),
        reading(aws, "ecs_describe_cluster", "Describe ECS cluster", "Describe one cluster.", describe),
        listing(aws, "ecs_list_tasks", "List ECS tasks", "List tasks with exit codes and stop reasons.", false, tasks),
        reading(
            aws,
            "ecs_describe_task_definition",
            "Describe ECS task definition",
            "Describe a task definition; environment by name only.",
            definition,
        ),
    ]
}

async fn list(_: Arc<List>, place: Place, token: Option<String>) -> Result<Chunk<Found>, ToolError> {
    let ecs = client!(aws_sdk_ecs, place.reads());
    let listed =
        place.ask("ecs:ListClusters", ecs.list_clusters().max_results(PAGE).set_next_token(token).send()).await?;
    let arns = listed.cluster_arns();
    if arns.is_empty() {
        return Ok(Chunk::new(Vec::new(), listed.next_token()));
    }
    let request = ecs.describe_clusters().set_clusters(Some(arns.to_vec()));
    let answer = place.ask("ecs:DescribeClusters", request.send()).await?;
    let found = answer.clusters().iter().map(|cluster| Found {
        name: said(cluster.cluster_name()),
        region: place.region.clone(),
        status: said(cluster.status()),
        services: cluster.active_services_count(),
        running: cluster.running_tasks_count(),
        pending: cluster.pending_tasks_count(),
    });
    Ok(Chunk::new(found.collect(), listed.next_token()))
}

async fn describe(arguments: OneCluster, place: Place) -> Result<Details, ToolError> {
    let ecs = client!(aws_sdk_ecs, place.reads());
    let request = ecs.describe_clusters().clusters(&arguments.cluster);
    let request = request.include(ClusterField::Settings).include(ClusterField::Tags);
    let answer = place.ask("ecs:DescribeClusters", request.send()).await?;
    let missing = || {
        let name = &arguments.cluster;
        ToolError::new(format!("not found in {}: cluster {name:?}; ecs_list_clusters names them", place.region))
    };
    answer.clusters().first().map(details).ok_or_else(missing)
}

fn details(cluster: &Cluster) -> Details {
    let settings = cluster.settings().iter();
    let settings = settings.filter_map(|setting| Some((setting.name()?.as_str().to_owned(), said(setting.value()))));
    let tags = cluster.tags().iter().filter_map(|tag| Some((tag.key()?.to_owned(), said(tag.value()))));
    Details {
        name: said(cluster.cluster_name()),
        status: said(cluster.status()),
        services: cluster.active_services_count(),
        running: cluster.running_tasks_count(),
        pending: cluster.pending_tasks_count(),
        instances: cluster.registered_container_instances_count(),
        capacity_providers: cluster.capacity_providers().to_vec(),
        settings: settings.collect(),
        tags: tags.collect(),
    }
}

async fn tasks(arguments: Arc<Tasks>, place: Place, token: Option<String>) -> Result<Chunk<FoundTask>, ToolError> {
    let status = match arguments.status.as_deref() {
        None | Some("RUNNING") => DesiredStatus::Running,
        Some("STOPPED") => DesiredStatus::Stopped,
        Some(other) => return Err(ToolError::new(format!("status: expected RUNNING or STOPPED, found {other:?}"))),
    };
    let ecs = client!(aws_sdk_ecs, place.reads());
    let request = ecs.list_tasks().cluster(&arguments.cluster).desired_status(status).max_results(PAGE);
    let request = request.set_service_name(arguments.service.clone()).set_next_token(token);
    let listed = place.ask("ecs:ListTasks", request.send()).await?;
    let arns = listed.task_arns();
    if arns.is_empty() {
        return Ok(Chunk::new(Vec::new(), listed.next_token()));
    }
    let request = ecs.describe_tasks().cluster(&arguments.cluster).set_tasks(Some(arns.to_vec()));
    let answer = place.ask("ecs:DescribeTasks", request.send()).await?;
    Ok(Chunk::new(answer.tasks().iter().map(task).collect(), listed.next_token()))
}

fn task(task: &Task) -> FoundTask {
    let containers = task.containers().iter().map(|container| Container {
        name: said(container.name()),
        status: own(container.last_status()),
        exit_code: container.exit_code(),
        reason: own(container.reason()),
    });
    FoundTask {
        task: last(task.task_arn()),
        status: said(task.last_status()),
        desired: said(task.desired_status()),
        containers: containers.collect(),
        definition: task.task_definition_arn().map(|arn| last(Some(arn))),
        group: own(task.group()),
        launch_type: task.launch_type().map(|kind| kind.as_str().to_owned()),
        health: task.health_status().map(|health| health.as_str().to_owned()),
        zone: own(task.availability_zone()),
        started: time(task.started_at()),
        stopped: time(task.stopped_at()),
        stop_code: task.stop_code().map(|code| code.as_str().to_owned()),
        stopped_reason: own(task.stopped_reason()),
    }
}

async fn definition(arguments: OneDefinition, place: Place) -> Result<Definition, ToolError> {
    let ecs = client!(aws_sdk_ecs, place.reads());
    let request = ecs.describe_task_definition().task_definition(&arguments.task_definition);
    let answer = place.ask("ecs:DescribeTaskDefinition", request.send()).await?;
    let Some(found) = answer.task_definition() else {
        return Err(ToolError::new(format!("not found in {}: {:?}", place.region, arguments.task_definition)));
    };
    Ok(Definition {
        family: said(found.family()),
        revision: found.revision(),
        status: found.status().map_or_else(String::new, |status| status.as_str().to_owned()),
        containers: found.container_definitions().iter().map(defined).collect(),
        cpu: own(found.cpu()),
        memory: own(found.memory()),
        network_mode: found.network_mode().map(|mode| mode.as_str().to_owned()),
        task_role: own(found.task_role_arn()),
        execution_role: own(found.execution_role_arn()),
        registered: time(found.registered_at()),
    })
}

fn defined(container: &ContainerDefinition) -> Defined {
    let options = container.log_configuration().and_then(|log| log.options());
    Defined {
        name: said(container.name()),
        image: said(container.image()),
        essential: container.essential().unwrap_or(true),
        ports: container.port_mappings().iter().filter_map(|port| port.container_port()).collect(),
        environment: container.environment().iter().map(|one| said(one.name())).collect(),
        secrets: container.secrets().iter().map(|secret| secret.name().to_owned()).collect(),
        cpu: Some(container.cpu()),
        memory: container.memory(),
        memory_reservation: container.memory_reservation(),
        log_group: options.and_then(|options| options.get("awslogs-group").cloned()),
    }
}

/// The last part of an ARN: what people call the thing.
pub(super) fn last(arn: Option<&str>) -> String {
    arn.and_then(|arn| arn.rsplit('/').next()).unwrap_or_default().to_owned()
}

//! `ecs_list_services`, `ecs_describe_service`, `ecs_update_service`.

use std::sync::Arc;

use aws_sdk_ecs::types::{Deployment, Service};
use mcp_kit::{Tool, ToolError};

use super::{ecs::last, listing, reading, spread::paged, writing};
use crate::{
    answer::{Chunk, answer, arguments, own, said, time},
    place::{Aws, Place, client},
};

/// As many as DescribeServices takes.
const SERVICES: i32 = 10;
/// Of a service's events, which ECS keeps a hundred of.
const EVENTS: usize = 10;

arguments!(List { cluster: String ; cursor: String });
paged!(List);
arguments!(One { cluster: String, service: String ; });
arguments!(Update {
    cluster: String, service: String ;
    desired_count: i32,
    /// family:revision
    task_definition: String,
    force_new_deployment: bool,
    dry_run: bool,
});

answer!(Found { name: String, status: String, desired: i32, running: i32, pending: i32 ; definition: String, launch_type: String });
answer!(Details {
    name: String, status: String, desired: i32, running: i32, pending: i32, deployments: Vec<Rollout>, events: Vec<Event>,
    target_groups: Vec<String> ;
    definition: String, launch_type: String, created: String,
});
answer!(Rollout {
    id: String, status: String, desired: i32, running: i32, pending: i32, failed: i32 ;
    definition: String, rollout: String, reason: String, updated: String,
});
answer!(Event { message: String ; at: String });
answer!(Updated {
    service: String, previous_desired: i32, desired: i32, message: String ;
    previous_definition: String, definition: String, deployment: String,
});

pub(super) fn tools(aws: &Arc<Aws>) -> Vec<Tool> {
    vec![
        listing(aws, "ecs_list_services", "List ECS services", "List a cluster's services with counts.", false, list),
        reading(
            aws,
            "ecs_describe_service",
            "Describe ECS service",
            "Describe one service: deployments, latest events.",
            describe,
        ),
        writing(
            aws,
            "ecs_update_service",
            "Update ECS service",
            "Change a service's desired count or task definition, or deploy it anew. dry_run only tells what would change.",
            (true, false),
            update,
        ),
    ]
}

async fn list(arguments: Arc<List>, place: Place, token: Option<String>) -> Result<Chunk<Found>, ToolError> {
    let ecs = client!(aws_sdk_ecs, place.reads());
    let request = ecs.list_services().cluster(&arguments.cluster).max_results(SERVICES).set_next_token(token);
    let listed = place.ask("ecs:ListServices", request.send()).await?;
    let arns = listed.service_arns();
    if arns.is_empty() {
        return Ok(Chunk::new(Vec::new(), listed.next_token()));
    }
    let mut found = Vec::new();
    // One page of ListServices, unless an emulator takes no limit.
    for some in arns.chunks(usize::try_from(SERVICES).unwrap_or(10)) {
        let request = ecs.describe_services().cluster(&arguments.cluster).set_services(Some(some.to_vec()));
        let answer = place.ask("ecs:DescribeServices", request.send()).await?;
        found.extend(answer.services().iter().map(|service| Found {
            name: said(service.service_name()),
            status: said(service.status()),
            desired: service.desired_count(),
            running: service.running_count(),
            pending: service.pending_count(),
            definition: service.task_definition().map(|arn| last(Some(arn))),
            launch_type: service.launch_type().map(|kind| kind.as_str().to_owned()),
        }));
    }
    Ok(Chunk::new(found, listed.next_token()))
}

async fn describe(arguments: One, place: Place) -> Result<Details, ToolError> {
    let service = service(&place, &arguments.cluster, &arguments.service).await?;
    let events = service.events().iter().take(EVENTS);
    let groups = service.load_balancers().iter().filter_map(|balancer| balancer.target_group_arn());
    Ok(Details {
        name: said(service.service_name()),
        status: said(service.status()),
        desired: service.desired_count(),
        running: service.running_count(),
        pending: service.pending_count(),
        deployments: service.deployments().iter().map(rollout).collect(),
        events: events.map(|event| Event { message: said(event.message()), at: time(event.created_at()) }).collect(),
        target_groups: groups.map(str::to_owned).collect(),
        definition: service.task_definition().map(|arn| last(Some(arn))),
        launch_type: service.launch_type().map(|kind| kind.as_str().to_owned()),
        created: time(service.created_at()),
    })
}

fn rollout(deployment: &Deployment) -> Rollout {
    Rollout {
        id: said(deployment.id()),
        status: said(deployment.status()),
        desired: deployment.desired_count(),
        running: deployment.running_count(),
        pending: deployment.pending_count(),
        failed: deployment.failed_tasks(),
        definition: deployment.task_definition().map(|arn| last(Some(arn))),
        rollout: deployment.rollout_state().map(|state| state.as_str().to_owned()),
        reason: own(deployment.rollout_state_reason()),
        updated: time(deployment.updated_at()),
    }
}

async fn update(arguments: Update, place: Place) -> Result<Updated, ToolError> {
    let Update { desired_count, task_definition, force_new_deployment, .. } = &arguments;
    if desired_count.is_none() && task_definition.is_none() && *force_new_deployment != Some(true) {
        return Err(ToolError::new(
            "expected desired_count, task_definition or force_new_deployment: true; found none",
        ));
    }
    if desired_count.is_some_and(|count| !(0..=5000).contains(&count)) {
        return Err(ToolError::new("desired_count: expected 0 to 5000"));
    }
    let before = service(&place, &arguments.cluster, &arguments.service).await?;
    if before.status() != Some("ACTIVE") {
        let status = before.status().unwrap_or("of unknown status");
        return Err(ToolError::new(format!(
            "service {} is {status}; only an ACTIVE one can be updated",
            arguments.service
        )));
    }
    let previous = before.task_definition().map(|arn| last(Some(arn)));
    let updated = |after: &Service, desired: i32, definition: Option<String>, message: &str| Updated {
        service: arguments.service.clone(),
        previous_desired: before.desired_count(),
        desired,
        message: message.to_owned(),
        previous_definition: previous.clone(),
        definition,
        deployment: after.deployments().first().and_then(|deployment| own(deployment.id())),
    };
    if arguments.dry_run == Some(true) {
        let desired = desired_count.unwrap_or_else(|| before.desired_count());
        let definition = task_definition.clone().or_else(|| previous.clone());
        return Ok(updated(&before, desired, definition, "dry run: this would change; permission was not checked"));
    }
    let ecs = client!(aws_sdk_ecs, &place.writes());
    let request = ecs
        .update_service()
        .cluster(&arguments.cluster)
        .service(&arguments.service)
        .set_desired_count(*desired_count)
        .set_task_definition(task_definition.clone())
        .set_force_new_deployment(*force_new_deployment);
    let answer = place.ask("ecs:UpdateService", request.send()).await?;
    let Some(after) = answer.service() else {
        return Err(ToolError::new("ECS updated the service and did not tell how it is now; see ecs_describe_service"));
    };
    let definition = after.task_definition().map(|arn| last(Some(arn)));
    Ok(updated(after, after.desired_count(), definition, "ECS is rolling it out; see ecs_describe_service"))
}

async fn service(place: &Place, cluster: &str, name: &str) -> Result<Service, ToolError> {
    let ecs = client!(aws_sdk_ecs, place.reads());
    let request = ecs.describe_services().cluster(cluster).services(name);
    let answer = place.ask("ecs:DescribeServices", request.send()).await?;
    answer.services.unwrap_or_default().into_iter().next().ok_or_else(|| {
        let region = &place.region;
        ToolError::new(format!("not found in {region}: service {name:?} of {cluster:?}; ecs_list_services names them"))
    })
}

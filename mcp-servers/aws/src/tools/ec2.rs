//! `ec2_list_instances`, `ec2_describe_instance`, `ec2_start_instance`, `ec2_stop_instance`.

use std::{collections::BTreeMap, sync::Arc};

use aws_sdk_ec2::types::{Filter, Instance, InstanceStateChange, Tag};
use mcp_kit::{Tool, ToolError};

use super::{listing, reading, spread::paged, writing};
use crate::{
    answer::{Chunk, PAGE, answer, arguments, own, said, time},
    fault::Kind,
    place::{Aws, Place, client},
};

arguments!(List {
    ;
    /// pending, running, stopping, stopped, terminated
    state: String,
    tags: BTreeMap<String, String>,
    cursor: String,
});
paged!(List);
arguments!(One { instance_id: String ; });
arguments!(Change { instance_id: String ; dry_run: bool });

answer!(Found {
    instance_id: String, region: String, state: String, tags: BTreeMap<String, String> ;
    name: String, r#type: String, private_ip: String, public_ip: String, zone: String, launched: String,
});
answer!(Details {
    instance_id: String, state: String, security_groups: Vec<String>, volumes: Vec<String>, tags: BTreeMap<String, String> ;
    name: String, r#type: String, image: String, architecture: String, platform: String, private_ip: String,
    public_ip: String, zone: String, vpc: String, subnet: String, role: String, launched: String, state_reason: String,
});
answer!(Changed { instance_id: String, previous_state: String, current_state: String, message: String ; });

pub(super) fn tools(aws: &Arc<Aws>) -> Vec<Tool> {
    vec![
        listing(aws, "ec2_list_instances", "List EC2 instances", "List instances, by state and tags.", true, list),
        reading(aws, "ec2_describe_instance", "Describe EC2 instance", "Describe one instance.", describe),
        writing(
            aws,
            "ec2_start_instance",
            "Start EC2 instance",
            "Start a stopped instance. dry_run only checks state and permission.",
            (false, true),
            start,
        ),
        writing(
            aws,
            "ec2_stop_instance",
            "Stop EC2 instance",
            "Stop a running instance. dry_run only checks state and permission.",
            (true, true),
            stop,
        ),
    ]
}

async fn list(arguments: Arc<List>, place: Place, token: Option<String>) -> Result<Chunk<Found>, ToolError> {
    let ec2 = client!(aws_sdk_ec2, place.reads());
    let state = arguments.state.iter().map(|state| filter("instance-state-name", state));
    let tags = arguments.tags.iter().flatten().map(|(name, value)| filter(&format!("tag:{name}"), value));
    let filters: Vec<Filter> = state.chain(tags).collect();
    let filters = (!filters.is_empty()).then_some(filters);
    let request = ec2.describe_instances().set_filters(filters).max_results(PAGE).set_next_token(token);
    let answer = place.ask("ec2:DescribeInstances", request.send()).await?;
    let instances = answer.reservations().iter().flat_map(|reservation| reservation.instances());
    let found = instances.map(|instance| Found {
        instance_id: said(instance.instance_id()),
        region: place.region.clone(),
        state: state_of(instance),
        tags: tags_of(instance.tags()),
        name: name_of(instance.tags()),
        r#type: instance.instance_type().map(|kind| kind.as_str().to_owned()),
        private_ip: own(instance.private_ip_address()),
        public_ip: own(instance.public_ip_address()),
        zone: instance.placement().and_then(|placement| own(placement.availability_zone())),
        launched: time(instance.launch_time()),
    });
    Ok(Chunk::new(found.collect(), answer.next_token()))
}

fn filter(name: &str, value: &str) -> Filter {
    Filter::builder().name(name).values(value).build()
}

async fn describe(arguments: One, place: Place) -> Result<Details, ToolError> {
    let instance = instance(&place, &arguments.instance_id).await?;
    let volumes = instance.block_device_mappings().iter().filter_map(|disk| disk.ebs()?.volume_id());
    let groups = instance.security_groups().iter().filter_map(|group| group.group_id());
    Ok(Details {
        instance_id: said(instance.instance_id()),
        state: state_of(&instance),
        security_groups: groups.map(str::to_owned).collect(),
        volumes: volumes.map(str::to_owned).collect(),
        tags: tags_of(instance.tags()),
        name: name_of(instance.tags()),
        r#type: instance.instance_type().map(|kind| kind.as_str().to_owned()),
        image: own(instance.image_id()),
        architecture: instance.architecture().map(|kind| kind.as_str().to_owned()),
        platform: own(instance.platform_details()),
        private_ip: own(instance.private_ip_address()),
        public_ip: own(instance.public_ip_address()),
        zone: instance.placement().and_then(|placement| own(placement.availability_zone())),
        vpc: own(instance.vpc_id()),
        subnet: own(instance.subnet_id()),
        role: instance.iam_instance_profile().and_then(|profile| own(profile.arn())),
        launched: time(instance.launch_time()),
        state_reason: instance.state_reason().and_then(|reason| own(reason.message())),
    })
}

async fn start(arguments: Change, place: Place) -> Result<Changed, ToolError> {
    let before = state_of(&instance(&place, &arguments.instance_id).await?);
    match before.as_str() {
        "running" | "pending" => {
            return Ok(unchanged(&arguments, before, "nothing to do: it is running or starting already"));
        }
        "stopped" => {}
        _ => return Err(not_from(&arguments, &before, "stopped")),
    }
    let ec2 = client!(aws_sdk_ec2, &place.writes());
    let dry_run = arguments.dry_run.unwrap_or_default();
    let request = ec2.start_instances().instance_ids(&arguments.instance_id).dry_run(dry_run);
    let answer = place.try_ask("ec2:StartInstances", request.send()).await?;
    match answer {
        Ok(answer) => Ok(changed(&arguments, before, answer.starting_instances(), "AWS is starting it")),
        Err(fault) if dry_run && fault.code == "DryRunOperation" => Ok(unchanged(&arguments, before, WOULD)),
        Err(fault) => Err(fault.told(&place, "ec2:StartInstances")),
    }
}

async fn stop(arguments: Change, place: Place) -> Result<Changed, ToolError> {
    let before = state_of(&instance(&place, &arguments.instance_id).await?);
    match before.as_str() {
        "stopped" | "stopping" => {
            return Ok(unchanged(&arguments, before, "nothing to do: it is stopped or stopping already"));
        }
        "running" => {}
        _ => return Err(not_from(&arguments, &before, "running")),
    }
    let ec2 = client!(aws_sdk_ec2, &place.writes());
    let dry_run = arguments.dry_run.unwrap_or_default();
    let request = ec2.stop_instances().instance_ids(&arguments.instance_id).dry_run(dry_run);
    let answer = place.try_ask("ec2:StopInstances", request.send()).await?;
    match answer {
        Ok(answer) => Ok(changed(&arguments, before, answer.stopping_instances(), "AWS is stopping it")),
        Err(fault) if dry_run && fault.code == "DryRunOperation" => Ok(unchanged(&arguments, before, WOULD)),
        Err(fault) => Err(fault.told(&place, "ec2:StopInstances")),
    }
}

const WOULD: &str = "dry run: state and permission allow it; nothing was changed";

async fn instance(place: &Place, id: &str) -> Result<Instance, ToolError> {
    let ec2 = client!(aws_sdk_ec2, place.reads());
    let missing =
        || ToolError::new(format!("not found in {}: instance {id:?}; ec2_list_instances names them", place.region));
    let answer = place.try_ask("ec2:DescribeInstances", ec2.describe_instances().instance_ids(id).send()).await?;
    match answer {
        Ok(answer) => {
            let mut reservations = answer.reservations.unwrap_or_default().into_iter();
            let found =
                reservations.find_map(|reservation| reservation.instances.unwrap_or_default().into_iter().next());
            found.ok_or_else(missing)
        }
        Err(fault) if fault.kind == Kind::NotFound => Err(missing()),
        Err(fault) => Err(fault.told(place, "ec2:DescribeInstances")),
    }
}

fn not_from(arguments: &Change, state: &str, expected: &str) -> ToolError {
    let id = &arguments.instance_id;
    ToolError::new(format!(
        "instance {id} is {state}, and it must be {expected} for this; wait, or see ec2_describe_instance"
    ))
}

fn unchanged(arguments: &Change, state: String, message: &str) -> Changed {
    let id = arguments.instance_id.clone();
    Changed { instance_id: id, previous_state: state.clone(), current_state: state, message: message.to_owned() }
}

fn changed(arguments: &Change, before: String, changes: &[InstanceStateChange], message: &str) -> Changed {
    let change = changes.first();
    let name = |state: Option<&aws_sdk_ec2::types::InstanceState>| {
        state.and_then(|state| state.name()).map(|name| name.as_str().to_owned())
    };
    Changed {
        instance_id: arguments.instance_id.clone(),
        previous_state: change.and_then(|change| name(change.previous_state())).unwrap_or(before),
        current_state: change.and_then(|change| name(change.current_state())).unwrap_or_else(|| "unknown".to_owned()),
        message: message.to_owned(),
    }
}

fn state_of(instance: &Instance) -> String {
    let name = instance.state().and_then(|state| state.name());
    name.map_or("unknown", |name| name.as_str()).to_owned()
}

fn tags_of(tags: &[Tag]) -> BTreeMap<String, String> {
    tags.iter().filter_map(|tag| Some((tag.key()?.to_owned(), said(tag.value())))).collect()
}

fn name_of(tags: &[Tag]) -> Option<String> {
    tags.iter().find(|tag| tag.key() == Some("Name")).and_then(|tag| own(tag.value()))
}

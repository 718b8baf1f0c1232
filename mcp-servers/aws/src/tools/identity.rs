//! `aws_whoami`, `aws_list_regions`.

use std::sync::Arc;

use mcp_kit::{Tool, ToolError};

use super::reading;
use crate::{
    answer::{answer, arguments, said},
    place::{Aws, Place, client},
};

arguments!(Nothing { ; });
answer!(Identity { account: String, arn: String, region: String, aliases: Vec<String> ; });
answer!(Regions { regions: Vec<String> ; });

pub(super) fn tools(aws: &Arc<Aws>) -> Vec<Tool> {
    let mut tools = vec![reading(
        aws,
        "aws_whoami",
        "Who am I",
        "Tell account, role, default region, and the account aliases there are.",
        whoami,
    )];
    if cfg!(feature = "ec2") {
        tools.push(reading(aws, "aws_list_regions", "List regions", "List the regions enabled for the account.", list));
    }
    tools
}

async fn whoami(_: Nothing, place: Place) -> Result<Identity, ToolError> {
    let sts = client!(aws_sdk_sts, place.reads());
    let caller = place.ask("sts:GetCallerIdentity", sts.get_caller_identity().send()).await?;
    Ok(Identity {
        account: said(caller.account()),
        arn: said(caller.arn()),
        region: place.region.clone(),
        aliases: place.aws.settings.accounts.iter().map(|account| account.alias.clone()).collect(),
    })
}

async fn list(_: Nothing, place: Place) -> Result<Regions, ToolError> {
    Ok(Regions { regions: regions(&place).await? })
}

/// The regions enabled for the account, in order.
#[cfg(feature = "ec2")]
pub(crate) async fn regions(place: &Place) -> Result<Vec<String>, ToolError> {
    let ec2 = client!(aws_sdk_ec2, place.reads());
    let answer = place.ask("ec2:DescribeRegions", ec2.describe_regions().send()).await?;
    let names = answer.regions().iter().filter_map(|region| region.region_name());
    let mut names: Vec<String> = names.filter(|name| crate::place::is_region(name)).map(str::to_owned).collect();
    names.sort();
    Ok(names)
}

#[cfg(not(feature = "ec2"))]
pub(crate) async fn regions(_: &Place) -> Result<Vec<String>, ToolError> {
    Err(ToolError::new("this server is built without EC2, which knows the regions: name one region"))
}

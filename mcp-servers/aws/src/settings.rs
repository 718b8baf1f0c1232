//! The settings of this server: region, accounts, what is on beyond the default.

use clap::Arg;
use mcp_kit::settings::{Sources, flag, repeated};
use serde::Deserialize;

use crate::place::is_region;

pub(crate) const EXAMPLES: &str = "\
Examples:
  On this machine, with a profile of ~/.aws:
    AWS_PROFILE=dev mcp-aws --region us-west-2
  For a client that starts the server itself:
    mcp-aws --stdio --region us-west-2
  Against an emulator:
    AWS_ENDPOINT_URL=http://127.0.0.1:4566 AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test mcp-aws --region us-west-2
  With two other accounts, from a file (--config):
    region: us-west-2
    accounts:
      - {alias: staging, roleArn: arn:aws:iam::210987654321:role/mcp-reader}
      - {alias: prod, roleArn: arn:aws:iam::109876543210:role/mcp-reader}
  The least IAM policy for some tools:
    mcp-aws iam-policy --tools ec2_list_instances,ec2_start_instance

A flag wins over its variable, the variable over the file. Exit codes: 0 ended in order, 1 could not start, 2 wrong settings.";

const ACCOUNT_EXPECTED: &str = "ALIAS=ROLE_ARN, for example staging=arn:aws:iam::210987654321:role/mcp-reader";
const MAX_TOKENS: i32 = 1024;

/// Another account, by the role that is assumed in it.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Account {
    pub(crate) alias: String,
    pub(crate) role_arn: String,
}

/// Which tools that read content are there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sensitive {
    /// All of them.
    All,
    /// Those that `allowTools` names, which is none where there is no such list.
    Named(Vec<String>),
}

impl Sensitive {
    pub(crate) fn has(&self, tool: &str) -> bool {
        match self {
            Self::All => true,
            Self::Named(names) => names.iter().any(|name| name == tool),
        }
    }
}

/// The settings, checked.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Of calls that name none; without it, that of the SDK's environment.
    pub(crate) region: Option<String>,
    pub(crate) accounts: Vec<Account>,
    /// The models that may be called; with none, there is no tool to call one.
    pub(crate) models: Vec<String>,
    pub(crate) max_tokens: i32,
    /// The tools that read content and are there.
    pub(crate) sensitive: Sensitive,
}

pub(crate) fn flags() -> Vec<Arg> {
    vec![
        flag("region", "REGION", "Region of calls that name none [default: AWS_REGION or the profile's]"),
        repeated("accounts", "ALIAS=ROLE_ARN,...", "Other accounts that calls may name, each by a role to assume"),
        repeated(
            "bedrock-models",
            "ID,...",
            "Models that bedrock_converse may call; it costs [default: none, no tool]",
        ),
        flag("bedrock-max-tokens", "N", "The most tokens one call of a model may answer with [default: 1024]"),
        flag(
            "sensitive",
            "WHICH",
            "off or allow: tools that read content, logs_query and s3_get_object [default: those in --allow-tools]",
        ),
    ]
}

/// Reads and checks them; `None` exactly when there were problems.
pub(crate) fn read(sources: &mut Sources) -> Option<Settings> {
    let region = region(sources);
    let accounts = accounts(sources);
    let models = sources.many("bedrock-models").into_iter().map(|given| given.text).collect();
    let max_tokens = max_tokens(sources);
    let sensitive = sensitive(sources);
    Some(Settings { region: region?, accounts: accounts?, models, max_tokens: max_tokens?, sensitive: sensitive? })
}

#[expect(
    clippy::option_option,
    reason = "`None` is for a problem, as everywhere in settings; a region may be left out"
)]
fn region(sources: &mut Sources) -> Option<Option<String>> {
    let Some(given) = sources.one("region") else { return Some(None) };
    if is_region(&given.text) {
        return Some(Some(given.text));
    }
    sources.problems.add(given.at, "a region such as us-west-2", format!("{:?}", given.text), "correct the name");
    None
}

fn accounts(sources: &mut Sources) -> Option<Vec<Account>> {
    let from_file =
        sources.structured::<Vec<Account>>("accounts", "a list such as `- {alias: staging, roleArn: arn:…}`");
    let mut accounts = Vec::new();
    for given in sources.line("accounts").iter().flat_map(|given| given.text.split(',').map(|text| (text, &given.at))) {
        let (text, at) = given;
        let Some((alias, role_arn)) = text.trim().split_once('=') else {
            sources.problems.add(at, ACCOUNT_EXPECTED, format!("{text:?}"), "write both parts");
            return None;
        };
        accounts.push((Account { alias: alias.to_owned(), role_arn: role_arn.to_owned() }, at.clone()));
    }
    if accounts.is_empty() {
        let (entries, at) = from_file.unwrap_or_default();
        accounts = entries.into_iter().map(|account| (account, at.clone())).collect();
    }
    let mut checked: Vec<Account> = Vec::new();
    let mut wrong = false;
    for (account, at) in accounts {
        let problem = if !is_alias(&account.alias) {
            Some(("an alias of 1 to 63 characters of a-z, 0-9 and -", format!("{:?}", account.alias)))
        } else if checked.iter().any(|other| other.alias == account.alias) {
            Some(("aliases that differ", format!("two accounts called {:?}", account.alias)))
        } else if !is_role(&account.role_arn) {
            Some(("the ARN of a role, arn:aws:iam::210987654321:role/NAME", format!("{:?}", account.role_arn)))
        } else {
            None
        };
        if let Some((expected, found)) = problem {
            sources.problems.add(at, expected, found, "correct the entry");
            wrong = true;
        } else {
            checked.push(account);
        }
    }
    (!wrong).then_some(checked)
}

fn is_alias(text: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && text.len() <= 63 && text.bytes().all(good)
}

fn is_role(text: &str) -> bool {
    let mut parts = text.splitn(6, ':');
    let mut next = || parts.next().unwrap_or_default();
    let (arn, partition, service, region, account, rest) = (next(), next(), next(), next(), next(), next());
    arn == "arn"
        && partition.starts_with("aws")
        && (service, region) == ("iam", "")
        && account.len() == 12
        && account.bytes().all(|byte| byte.is_ascii_digit())
        && rest.strip_prefix("role/").is_some_and(|name| !name.is_empty() && name.len() <= 576)
}

fn max_tokens(sources: &mut Sources) -> Option<i32> {
    let Some(given) = sources.one("bedrock-max-tokens") else { return Some(MAX_TOKENS) };
    let parsed = given.text.parse().ok().filter(|count| (1..=200_000).contains(count));
    if parsed.is_none() {
        let expected = "a whole number from 1 to 200000";
        sources.problems.add(given.at, expected, format!("{:?}", given.text), "correct the number");
    }
    parsed
}

fn sensitive(sources: &mut Sources) -> Option<Sensitive> {
    let named = Sensitive::Named(sources.peek("allow-tools"));
    match sources.one("sensitive") {
        None => Some(named),
        // YAML 1.1 reads a bare `off` as false.
        Some(given) if matches!(given.text.as_str(), "off" | "false") => Some(named),
        Some(given) if given.text == "allow" => Some(Sensitive::All),
        Some(given) => {
            sources.problems.add(given.at, "off or allow", format!("{:?}", given.text), "use one of the two");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_and_aliases_are_checked() {
        assert!(
            is_role("arn:aws:iam::210987654321:role/mcp-reader") && is_role("arn:aws-cn:iam::210987654321:role/a/b")
        );
        for wrong in
            ["", "arn:aws:iam::2109:role/x", "arn:aws:iam::210987654321:user/x", "arn:aws:iam::210987654321:role/"]
        {
            assert!(!is_role(wrong), "{wrong}");
        }
        assert!(is_alias("prod-1"));
        for wrong in ["", "Prod", "a b", "../x"] {
            assert!(!is_alias(wrong), "{wrong}");
        }
    }
}

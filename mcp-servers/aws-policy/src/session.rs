//! Session policies made of the table: what is left of a role to a server that has some tools.
//!
//! In: the settings that decide which tools are there. Out: their names, and the policy as one short line, since EKS counts
//! characters. A role gives less, never more, by it.

use serde::Serialize;

use crate::{ALWAYS_ALLOWED, Kind, Scope, TOOLS, Tool, UnknownTool, policy};

/// The settings that decide which tools a server has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Names of the tools it may have; all, if empty.
    pub allow: Vec<String>,
    /// Names of tools it has not, whatever `allow` says.
    pub deny: Vec<String>,
    /// Whether it has tools that change something.
    pub writes: bool,
    /// Whether it has every tool that reads content, not those alone that `allow` names.
    pub sensitive: bool,
    /// Whether there are models to call.
    pub models: bool,
}

impl Settings {
    /// Names of the tools that are there, in order.
    #[must_use]
    pub fn tools(&self) -> Vec<&'static str> {
        TOOLS.iter().filter(|tool| self.has(tool)).map(|tool| tool.name).collect()
    }

    fn has(&self, tool: &Tool) -> bool {
        let named = |names: &[String]| names.iter().any(|name| name == tool.name);
        let there = match tool.kind {
            Kind::Read => true,
            Kind::Sensitive => self.sensitive || named(&self.allow),
            Kind::Cost => self.models,
            Kind::Write => self.writes,
        };
        there && (self.allow.is_empty() || named(&self.allow)) && !named(&self.deny)
    }
}

/// A policy in few characters, its fields always in the same order: a list of one is the one.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Short<'a> {
    version: &'static str,
    statement: Vec<Statement<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Statement<'a> {
    effect: &'static str,
    action: List<'a>,
    resource: List<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum List<'a> {
    One(&'a str),
    Many(&'a [String]),
}

impl<'a> List<'a> {
    fn of(items: &'a [String]) -> Self {
        match items {
            [one] => Self::One(one),
            items => Self::Many(items),
        }
    }
}

/// The policy of a session in which these tools do all they can do, and nothing else is done.
pub fn session<'a>(tools: impl IntoIterator<Item = &'a str>, scope: &Scope) -> Result<String, UnknownTool> {
    let policy = policy(tools, scope)?;
    let everybody: Vec<String> = ALWAYS_ALLOWED.iter().map(|action| (*action).to_owned()).collect();
    let mut statement: Vec<_> = policy
        .statement
        .iter()
        .map(|it| Statement { effect: "Allow", action: List::of(&it.action), resource: List::of(&it.resource) })
        .collect();
    if statement.is_empty() {
        // A policy has a statement. This one gives what everybody has.
        statement.push(Statement { effect: "Allow", action: List::of(&everybody), resource: List::One("*") });
    }
    // Strings and lists of strings have a form in JSON.
    Ok(serde_json::to_string(&Short { version: "2012-10-17", statement }).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn tools_are_there_as_the_settings_say() {
        let reads: Vec<_> = TOOLS.iter().filter(|tool| tool.kind == Kind::Read).map(|tool| tool.name).collect();
        assert_eq!(Settings::default().tools(), reads);
        let everything = Settings { writes: true, sensitive: true, models: true, ..Settings::default() };
        assert_eq!(everything.tools().len(), TOOLS.len());
        let allow = names(&["s3_get_object", "ec2_stop_instance", "aws_whoami", "bedrock_converse", "no_such_tool"]);
        let some = Settings { allow: allow.clone(), ..Settings::default() };
        assert_eq!(some.tools(), ["aws_whoami", "s3_get_object"], "content by its name, what writes or costs not");
        let denied = Settings { allow, deny: names(&["aws_whoami"]), writes: true, ..Settings::default() };
        assert_eq!(denied.tools(), ["ec2_stop_instance", "s3_get_object"]);
    }

    #[test]
    fn a_session_has_what_the_printed_policy_has_in_fewer_characters() {
        let scope = Scope { roles: names(&["arn:aws:iam::210987654321:role/reader"]), ..Scope::default() };
        assert_eq!(
            session(["s3_list_objects"], &scope).unwrap(),
            concat!(
                r#"{"Version":"2012-10-17","Statement":["#,
                r#"{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"arn:aws:iam::210987654321:role/reader"},"#,
                r#"{"Effect":"Allow","Action":"s3:ListBucket","Resource":"arn:aws:s3:::*"}]}"#
            )
        );
        let tools = Settings::default().tools();
        let printed = serde_json::to_value(policy(tools.iter().copied(), &scope).unwrap()).unwrap();
        let mut read: Value = serde_json::from_str(&session(tools, &scope).unwrap()).unwrap();
        for statement in read["Statement"].as_array_mut().unwrap() {
            for field in ["Action", "Resource"] {
                if statement[field].is_string() {
                    statement[field] = json!([statement[field]]);
                }
            }
        }
        assert_eq!(read, printed);
    }

    #[test]
    fn a_session_without_actions_has_what_everybody_has() {
        let policy = session(["aws_whoami"], &Scope::default()).unwrap();
        assert!(policy.contains(r#""Action":"sts:GetCallerIdentity""#), "{policy}");
        assert!(session(["no_such_tool"], &Scope::default()).is_err());
    }
}

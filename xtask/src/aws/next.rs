//! What to type once the base stands: printed, not run, with the values that Terraform put out.
//!
//! In: `terraform output -json`. Out: commands and settings as text.

use std::fmt;

use anyhow::{Context, Result};
use serde_json::Value;

pub(super) struct Next {
    outputs: Value,
}

impl Next {
    pub(super) fn read(text: &str) -> Result<Self> {
        Ok(Self { outputs: serde_json::from_str(text).context("`terraform output -json` printed no JSON")? })
    }

    /// An output, or a part of one, as it is written in a command; `-` for what this environment does not have.
    fn value(&self, output: &str, part: &str) -> String {
        let found = self.outputs.get(output).and_then(|it| it.pointer(&format!("/value{part}")));
        match found {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Null) | None => "-".to_owned(),
            Some(other) => other.to_string(),
        }
    }

    fn entries(&self, output: &str) -> impl Iterator<Item = (&String, &str)> {
        let map = self.outputs.get(output).and_then(|it| it.get("value")).and_then(Value::as_object);
        map.into_iter().flatten().filter_map(|(name, it)| Some((name, it.as_str()?)))
    }
}

impl fmt::Display for Next {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (cluster, region) = (self.value("cluster_name", ""), self.value("region", ""));
        writeln!(to, "\nNext, from where the API server can be reached:")?;
        writeln!(to, "  aws eks update-kubeconfig --name {cluster} --region {region}")?;
        let registry = self.entries("repository_urls").next().and_then(|(_, url)| url.split('/').next()).unwrap_or("-");
        writeln!(
            to,
            "  aws ecr get-login-password --region {region} | podman login --username AWS --password-stdin {registry}"
        )?;
        for (name, url) in self.entries("repository_urls") {
            writeln!(to, "  podman push {name}:TAG {url}:TAG   # and name the image by the digest that this prints")?;
        }
        writeln!(to, "  kubectl apply --server-side -k config/default")?;
        writeln!(to, "  kubectl apply -k config/karpenter          # Karpenter itself is a chart: docs/terraform.md")?;
        writeln!(to, "\nSettings of servers:")?;
        for (name, role) in self.entries("server_role_arns") {
            writeln!(to, "  role of the server {name:12} {role}")?;
        }
        let database = |part: &str| self.value("database", part);
        let (host, port, name) = (database("/host"), database("/port"), database("/name"));
        writeln!(to, "  PostgreSQL                      postgresql://USER@{host}:{port}/{name}?sslmode=verify-full")?;
        writeln!(to, "  its administrator's secret      {}", database("/secret_arn"))?;
        writeln!(to, "  file system, a volumeHandle     {}", self.value("file_system_id", ""))?;
        writeln!(to, "  bucket of artifacts             {}", self.value("bucket_names", "/artifacts"))?;
        writeln!(to, "  traces, --otlp-endpoint         {}", self.value("otlp_endpoint", ""))?;
        writeln!(to, "  certificate of load balancers   {}", self.value("certificate_arn", ""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_and_settings_have_the_outputs_values() {
        let outputs = serde_json::json!({
            "cluster_name": {"value": "mcp-dev"},
            "region": {"value": "us-west-2"},
            "repository_urls": {"value": {"servers": "123456789012.dkr.ecr.us-west-2.amazonaws.com/mcp-dev/servers"}},
            "server_role_arns": {"value": {"aws": "arn:aws:iam::123456789012:role/mcp-eks/mcp-dev/servers/mcp-dev-server-aws"}},
            "database": {"value": {"host": "db.example", "port": 5432, "name": "mcp", "secret_arn": null}},
            "certificate_arn": {"value": null},
        });
        let text = Next::read(&outputs.to_string()).unwrap().to_string();
        for expected in [
            "aws eks update-kubeconfig --name mcp-dev --region us-west-2\n",
            "--password-stdin 123456789012.dkr.ecr.us-west-2.amazonaws.com\n",
            "podman push servers:TAG 123456789012.dkr.ecr.us-west-2.amazonaws.com/mcp-dev/servers:TAG",
            "aws          arn:aws:iam::123456789012:role/mcp-eks/mcp-dev/servers/mcp-dev-server-aws\n",
            "postgresql://USER@db.example:5432/mcp?sslmode=verify-full\n",
            "secret      -\n",
            "balancers   -\n",
        ] {
            assert!(text.contains(expected), "{expected:?} is not in\n{text}");
        }
    }
}

//! The programs `terraform` and `aws`, set to one environment and to AWS or an emulator.
//!
//! In: the options. Out: commands. Of AWS, credentials are those of the person who runs this (profile, SSO, variables), and
//! nothing of them is read here.

use std::fs;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::Options;
use crate::place::Place;
use crate::program;
use crate::terraform::{Terraform, services};

/// Says that the state is in S3; what is written to git says nothing of where.
const BACKEND: &str = "terraform {\n  backend \"s3\" {}\n}\n";
const BACKEND_FILE: &str = "backend_override.tf";

pub(super) struct Session<'a> {
    place: &'a Place,
    terraform: Terraform,
    directory: PathBuf,
    work: PathBuf,
    backend: Vec<String>,
    emulated: Vec<(Option<String>, String)>,
}

impl<'a> Session<'a> {
    pub(super) fn new(place: &'a Place, options: &Options) -> Result<Self> {
        let directory = Path::new("terraform/environments").join(&options.environment);
        let plain = options.environment.chars().all(|it| it.is_ascii_alphanumeric() || it == '-');
        if !plain || !place.root.join(&directory).join("terraform.tfvars").exists() {
            bail!("there is no environment `{}` in terraform/environments", options.environment);
        }
        let terraform = Terraform::find(place)?;
        let work = match &options.state_dir {
            Some(given) => given.clone(),
            None => terraform.data.join(format!("aws-{}", options.environment)),
        };
        fs::create_dir_all(&work).with_context(|| format!("cannot make {}", work.display()))?;
        // Terraform runs in the environment's directory: a path from elsewhere must not depend on that.
        let work = work.canonicalize().with_context(|| format!("cannot find {}", work.display()))?;
        let emulated = options.emulator.iter().map(|it| emulated(it)).collect::<Result<Vec<_>>>()?;
        for_everything(&emulated)?;
        let session = Self { place, terraform, directory, work, backend: options.backend_config.clone(), emulated };
        session.write_settings()?;
        Ok(session)
    }

    /// Where the state is to be, and which services are whose, written before Terraform looks for them.
    fn write_settings(&self) -> Result<()> {
        let file = self.place.root.join(&self.directory).join(BACKEND_FILE);
        if !self.backend.is_empty() {
            fs::write(&file, BACKEND).with_context(|| format!("cannot write {}", file.display()))?;
        } else if file.exists() {
            // Of an earlier call. Terraform says itself that the state is elsewhere, and asks before it leaves it.
            fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))?;
        }
        if !self.emulated.is_empty() {
            let file = self.values();
            let text = serde_json::json!({"emulator": true, "endpoints": self.endpoints()?}).to_string();
            fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
        }
        Ok(())
    }

    fn endpoints(&self) -> Result<serde_json::Map<String, serde_json::Value>> {
        let provider = self.place.root.join(&self.directory).join("providers.tf");
        let text = fs::read_to_string(&provider).with_context(|| format!("cannot read {}", provider.display()))?;
        let address = |service: &str| {
            let own = self.emulated.iter().find(|(name, _)| name.as_deref() == Some(service));
            own.or_else(|| self.emulated.iter().find(|(name, _)| name.is_none())).map(|(_, url)| url.clone())
        };
        Ok(services(&text).filter_map(|it| Some((it.to_owned(), address(it)?.into()))).collect())
    }

    fn values(&self) -> PathBuf {
        self.work.join("emulator.tfvars.json")
    }

    pub(super) fn environment(&self) -> &Path {
        &self.directory
    }

    pub(super) fn plan_file(&self) -> PathBuf {
        self.work.join("plan")
    }

    pub(super) fn plan_argument(&self) -> String {
        format!("-out={}", self.plan_file().display())
    }

    /// Where Terraform finds the state: of an emulator it is no business of the environment's directory.
    pub(super) fn state(&self) -> Option<String> {
        (!self.emulated.is_empty()).then(|| format!("-state={}", self.work.join("state").display()))
    }

    /// State and values, for commands that take both.
    pub(super) fn variables(&self) -> Vec<String> {
        let values = (!self.emulated.is_empty()).then(|| format!("-var-file={}", self.values().display()));
        self.state().into_iter().chain(values).collect()
    }

    /// A value of terraform.tfvars that is a text.
    fn value(&self, name: &str) -> Result<String> {
        let file = self.place.root.join(&self.directory).join("terraform.tfvars");
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        text_value(&text, name).with_context(|| format!("{} has no line `{name} = \"…\"`", file.display()))
    }

    pub(super) fn name(&self) -> Result<String> {
        self.value("name")
    }

    pub(super) fn init(&self) -> Result<()> {
        let mut init = self.terraform(&["init", "-input=false", "-lockfile=readonly"]);
        init.args(self.backend.iter().map(|it| format!("-backend-config={it}")));
        program::run(&mut init)
    }

    pub(super) fn terraform(&self, words: &[&str]) -> Command {
        let mut command = self.place.command("terraform");
        self.terraform.mirrored(&mut command);
        if !std::io::stdout().is_terminal() {
            command.env("TF_CLI_ARGS", "-no-color");
        }
        if !self.emulated.is_empty() {
            command.env("TF_DATA_DIR", self.work.join("data"));
        }
        command.arg(format!("-chdir={}", self.directory.display())).args(words);
        command
    }

    /// The AWS CLI, for what Terraform does not tell. Answers in JSON.
    pub(super) fn aws(&self, words: &[&str]) -> Result<Command> {
        let mut command = self.place.command("aws");
        command.args(words).args(["--output", "json", "--region", &self.value("region")?]).env("AWS_PAGER", "");
        for (service, url) in &self.emulated {
            let of_service = service.as_ref().map(|it| format!("_{}", it.to_uppercase())).unwrap_or_default();
            command.env(format!("AWS_ENDPOINT_URL{of_service}"), url);
        }
        Ok(command)
    }
}

/// `URL`, or `SERVICE=URL`.
fn emulated(given: &str) -> Result<(Option<String>, String)> {
    let (service, url) = match given.split_once('=') {
        Some((service, url)) if !service.contains("://") => (Some(service.to_owned()), url),
        _ => (None, given),
    };
    if !url.starts_with("http://127.0.0.1:") && !url.starts_with("http://localhost:") {
        bail!("--emulator: an address of this machine like http://127.0.0.1:4566 expected, found {url}");
    }
    Ok((service, url.to_owned()))
}

/// Refuses emulators of some services alone: the others would be those of AWS, with the caller's credentials.
fn for_everything(emulated: &[(Option<String>, String)]) -> Result<()> {
    if emulated.is_empty() || emulated.iter().any(|(service, _)| service.is_none()) {
        return Ok(());
    }
    bail!(
        "--emulator: an address for everything expected beside those of single services, like http://127.0.0.1:4566; found \
         none, and every other service would be that of AWS"
    );
}

/// The text that a line of a tfvars file gives a name.
fn text_value(text: &str, name: &str) -> Option<String> {
    let of_line = |line: &str| {
        let (key, value) = line.split_once('=')?;
        let value = value.trim().strip_prefix('"')?.strip_suffix('"')?;
        (key.trim() == name).then(|| value.to_owned())
    };
    text.lines().find_map(of_line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_regions_are_read_from_an_environments_values() {
        let text = "# mcp\nname   = \"mcp-dev\"\nregion = \"us-west-2\"\nprotected = false\n";
        assert_eq!(text_value(text, "name").as_deref(), Some("mcp-dev"));
        assert_eq!(text_value(text, "region").as_deref(), Some("us-west-2"));
        assert_eq!(text_value(text, "protected"), None);
    }

    #[test]
    fn an_emulator_is_on_this_machine() {
        assert_eq!(emulated("http://127.0.0.1:1").unwrap(), (None, "http://127.0.0.1:1".to_owned()));
        let of_one = emulated("cloudwatch=http://127.0.0.1:2").unwrap();
        assert_eq!(of_one, (Some("cloudwatch".to_owned()), "http://127.0.0.1:2".to_owned()));
        for elsewhere in ["https://example.com", "ec2=http://10.0.0.1:1", "http://127.0.0.1.example.com:1"] {
            assert!(emulated(elsewhere).unwrap_err().to_string().contains("address of this machine"), "{elsewhere}");
        }
    }
    #[test]
    fn no_service_is_left_to_aws_while_another_is_emulated() {
        let given = |words: &[&str]| words.iter().map(|it| emulated(it)).collect::<Result<Vec<_>>>().unwrap();
        assert!(for_everything(&given(&[])).is_ok());
        assert!(for_everything(&given(&["cloudwatch=http://127.0.0.1:2", "http://127.0.0.1:1"])).is_ok());
        let refused = for_everything(&given(&["cloudwatch=http://127.0.0.1:2"])).unwrap_err().to_string();
        assert!(refused.contains("an address for everything"), "{refused}");
    }
}

//! A bundled server in the words of builders: one shape, whatever its kind.
//!
//! In: what `validate::bundled` decided for a kind. Out: its part of the settings file, its volumes and mounts. Secrets
//! and ConfigMaps that the spec names become files, a directory each and never a `subPath`, so that changes arrive;
//! none becomes an environment variable.

use k8s_openapi::{
    api::core::v1::{ConfigMapVolumeSource, KeyToPath, SecretVolumeSource, Volume, VolumeMount},
    apimachinery::pkg::api::resource::Quantity,
};
use mcp_crds::pod::MountedKey;
use serde_json::{Map, Value};

use super::{names::OWN_PREFIX, network::Needs};

/// Where the settings file is.
pub(super) const SETTINGS_DIR: &str = "/etc/mcp-eks";
/// Where the roots of a Filesystem server are mounted.
pub(super) const ROOTS_DIR: &str = "/roots";
/// Where the one volume is mounted on which a server keeps its data.
pub(super) const DATA_DIR: &str = "/var/lib/mcp-eks";
/// Where keys of Secrets and ConfigMaps are mounted, each in a directory of its own.
const FILES_DIR: &str = "/run/mcp-eks";

/// Directories of bundled servers: a spec mounts its volumes elsewhere.
pub(super) const DIRS: [&str; 4] = [SETTINGS_DIR, ROOTS_DIR, DATA_DIR, FILES_DIR];

/// Name of the file in its directory, whatever the key is called.
const FILE: &str = "value";
/// For the server's group alone, which is the pod's `fsGroup`.
const FILE_MODE: i32 = 0o440;

/// A bundled server.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bundled {
    /// Image of the bundled servers.
    pub image: String,
    /// The binary; also the value of `app.kubernetes.io/name`.
    pub binary: &'static str,
    /// Its part of the settings file. Source of the keys: `mcp-servers/*/src/settings`.
    pub settings: Map<String, Value>,
    /// Volumes of the spec that it works on.
    pub places: Vec<Place>,
    /// What it reads from Secrets and ConfigMaps.
    pub files: Vec<File>,
    /// Whom it calls.
    pub needs: Needs,
    /// CPU and memory when the spec says nothing.
    pub resources: Amounts,
}

/// A volume of the spec, and where the server finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The volume.
    pub volume: String,
    /// The directory.
    pub path: String,
    /// Whether the server may change what is there.
    pub writable: bool,
}

/// A key of a Secret or ConfigMap as a file.
#[derive(Clone, Debug, PartialEq)]
pub struct File {
    /// What it is, in kebab case: directory and volume are called after it.
    pub what: &'static str,
    /// The object it comes from.
    pub from: From,
    /// Key of that object.
    pub key: MountedKey,
}

/// The kind of object a file comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// A Secret: the server looks for changes itself.
    Secret,
    /// A ConfigMap: pods roll when it changes.
    ConfigMap,
}

/// What a container asks for, and how much memory it may use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amounts {
    /// CPU set aside; there is no limit, because a throttled server is a slow one for everybody.
    pub cpu: &'static str,
    /// Memory set aside.
    pub memory: &'static str,
    /// The most memory.
    pub most_memory: &'static str,
}

impl Bundled {
    /// Writes one key of the settings file.
    pub(super) fn set(&mut self, key: &str, value: impl Into<Value>) {
        self.settings.insert(key.to_owned(), value.into());
    }

    /// Mounts a file, and names it in the settings file.
    pub(super) fn read(&mut self, setting: &str, what: &'static str, from: From, key: &MountedKey) {
        let file = File { what, from, key: key.clone() };
        self.set(setting, file.path());
        self.files.push(file);
    }

    /// Its volumes, beside those of the spec.
    pub(super) fn volumes(&self) -> impl Iterator<Item = Volume> {
        self.files.iter().map(File::volume)
    }

    /// Where its volumes are mounted.
    pub(super) fn mounts(&self) -> impl Iterator<Item = VolumeMount> {
        let places = self.places.iter().map(|place| VolumeMount {
            name: place.volume.clone(),
            mount_path: place.path.clone(),
            read_only: (!place.writable).then_some(true),
            ..VolumeMount::default()
        });
        let files = self.files.iter().map(|file| VolumeMount {
            name: file.volume_name(),
            mount_path: file.directory(),
            read_only: Some(true),
            ..VolumeMount::default()
        });
        places.chain(files)
    }
}

impl Amounts {
    /// What is set aside, by name.
    pub(super) fn requests(self) -> [(&'static str, Quantity); 2] {
        [("cpu", Quantity(self.cpu.to_owned())), ("memory", Quantity(self.memory.to_owned()))]
    }

    /// The most, by name.
    pub(super) fn limits(self) -> [(&'static str, Quantity); 1] {
        [("memory", Quantity(self.most_memory.to_owned()))]
    }
}

impl File {
    /// Where the server finds it.
    fn path(&self) -> String {
        format!("{}/{FILE}", self.directory())
    }

    fn directory(&self) -> String {
        format!("{FILES_DIR}/{}", self.what)
    }

    fn volume_name(&self) -> String {
        format!("{OWN_PREFIX}{}", self.what)
    }

    /// The volume: that one key, and nothing else of the object.
    fn volume(&self) -> Volume {
        let MountedKey { name, key } = self.key.clone();
        let items = Some(vec![KeyToPath { key, path: FILE.to_owned(), mode: None }]);
        let mut volume = Volume { name: self.volume_name(), ..Volume::default() };
        match self.from {
            From::Secret => {
                volume.secret = Some(SecretVolumeSource {
                    secret_name: Some(name),
                    items,
                    default_mode: Some(FILE_MODE),
                    optional: None,
                });
            }
            From::ConfigMap => {
                volume.config_map =
                    Some(ConfigMapVolumeSource { name, items, default_mode: Some(FILE_MODE), optional: None });
            }
        }
        volume
    }
}

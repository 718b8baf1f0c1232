//! Packs static binaries into a container image FROM scratch, without a daemon, a registry or a build tool.
//!
//! In: files of the host and where they go. Out: a docker-archive tar, as `ctr images import`, `podman load`,
//! `docker load` and `kind load image-archive` read it. The same input gives the same bytes: times are zero and
//! entries are sorted, so a cache can go by content.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::json;
use sha2::{Digest, Sha256};

/// The user and group that images run as unless told otherwise.
pub const NON_ROOT: u64 = 10001;

/// Where TLS clients look for certificate authorities, on Debian and in our images.
pub const CA_BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";

/// An image to be packed. Starts empty: no file, no user, no command.
#[derive(Clone, Debug)]
pub struct Image {
    reference: String,
    entries: BTreeMap<String, Entry>,
    entrypoint: Vec<String>,
    command: Vec<String>,
    environment: BTreeMap<String, String>,
    labels: BTreeMap<String, String>,
    user: String,
}

#[derive(Clone, Debug)]
enum Entry {
    File { source: PathBuf, mode: u32 },
    Text { content: String, mode: u32 },
    Directory { mode: u32 },
}

/// What was packed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    /// `name:tag` inside the archive.
    pub reference: String,
    /// `sha256:…` of the image's configuration: the image id every engine shows.
    pub id: String,
}

impl Image {
    /// An empty image called `reference` (`name:tag`), run by [`NON_ROOT`].
    #[must_use]
    pub fn new(reference: impl Into<String>) -> Self {
        Self {
            reference: reference.into(),
            entries: BTreeMap::new(),
            entrypoint: Vec::new(),
            command: Vec::new(),
            environment: BTreeMap::from([("PATH".into(), "/usr/local/bin:/usr/bin:/bin:/".into())]),
            labels: BTreeMap::new(),
            user: format!("{NON_ROOT}:{NON_ROOT}"),
        }
    }

    /// Copies a host file to an absolute path of the image, with `mode` (such as `0o755`).
    #[must_use]
    pub fn file(mut self, source: impl Into<PathBuf>, target: &str, mode: u32) -> Self {
        self.entries.insert(relative(target), Entry::File { source: source.into(), mode });
        self
    }

    /// Writes a small text to an absolute path of the image.
    #[must_use]
    pub fn text(mut self, target: &str, content: impl Into<String>, mode: u32) -> Self {
        self.entries.insert(relative(target), Entry::Text { content: content.into(), mode });
        self
    }

    /// Adds an empty directory, such as `/tmp` with `0o1777`.
    #[must_use]
    pub fn directory(mut self, target: &str, mode: u32) -> Self {
        self.entries.insert(relative(target), Entry::Directory { mode });
        self
    }

    /// Adds what a network program expects of a minimal system: the host's CA bundle, `/tmp`, and a passwd and
    /// group file that know [`NON_ROOT`].
    #[must_use]
    pub fn base(self) -> Self {
        let passwd = format!("root:x:0:0::/:/nonexistent\nmcp:x:{NON_ROOT}:{NON_ROOT}::/tmp:/nonexistent\n");
        self.file(CA_BUNDLE, CA_BUNDLE, 0o644).directory("/tmp", 0o1777).text("/etc/passwd", passwd, 0o644).text(
            "/etc/group",
            format!("root:x:0:\nmcp:x:{NON_ROOT}:\n"),
            0o644,
        )
    }

    /// The program that always runs.
    #[must_use]
    pub fn entrypoint<S: Into<String>>(mut self, words: impl IntoIterator<Item = S>) -> Self {
        self.entrypoint = words.into_iter().map(Into::into).collect();
        self
    }

    /// Its default arguments.
    #[must_use]
    pub fn command<S: Into<String>>(mut self, words: impl IntoIterator<Item = S>) -> Self {
        self.command = words.into_iter().map(Into::into).collect();
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.environment.insert(name.into(), value.into());
        self
    }

    /// Sets a label, such as `org.opencontainers.image.source`.
    #[must_use]
    pub fn label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.insert(name.into(), value.into());
        self
    }

    /// Runs as someone else, such as `0:0` for a program that binds port 53.
    #[must_use]
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.user = user.into();
        self
    }

    /// Writes the archive to `target`, atomically: a half-written archive is never seen under that name.
    pub fn pack(&self, target: &Path) -> Result<Packed> {
        let (name, tag) = match self.reference.rsplit_once(':') {
            Some((name, tag)) if !name.is_empty() && !tag.is_empty() && !tag.contains('/') => (name, tag),
            _ => bail!("image reference {:?}: expected name:tag, such as localhost/mcp-operator:dev", self.reference),
        };
        let directory = target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::create_dir_all(directory).with_context(|| format!("create {}", directory.display()))?;

        let mut layer =
            tempfile::tempfile_in(directory).with_context(|| format!("write in {}", directory.display()))?;
        let layer_digest = self.write_layer(&mut layer)?;
        let config = serde_json::to_vec(&self.config(&layer_digest))?;
        let config_digest = hex(&Sha256::digest(&config));
        let layer_name = format!("{layer_digest}/layer.tar");
        let manifest = serde_json::to_vec(&json!([{
            "Config": format!("{config_digest}.json"),
            "RepoTags": [format!("{name}:{tag}")],
            "Layers": [layer_name],
        }]))?;

        let output =
            tempfile::NamedTempFile::new_in(directory).with_context(|| format!("write in {}", directory.display()))?;
        let mut archive = tar::Builder::new(BufWriter::new(output));
        append(&mut archive, &format!("{config_digest}.json"), 0o644, config.len() as u64, config.as_slice())?;
        let size = layer.seek(SeekFrom::End(0))?;
        layer.rewind()?;
        append(&mut archive, &layer_name, 0o644, size, BufReader::new(layer))?;
        append(&mut archive, "manifest.json", 0o644, manifest.len() as u64, manifest.as_slice())?;
        let output = archive.into_inner()?.into_inner().map_err(io::IntoInnerError::into_error)?;
        output.persist(target).with_context(|| format!("write {}", target.display()))?;
        Ok(Packed { reference: self.reference.clone(), id: format!("sha256:{config_digest}") })
    }

    fn write_layer(&self, layer: &mut File) -> Result<String> {
        let mut archive = tar::Builder::new(Hashing { inner: BufWriter::new(layer), digest: Sha256::new() });
        let mut made = std::collections::BTreeSet::new();
        for (target, entry) in &self.entries {
            for parent in parents(target) {
                if !self.entries.contains_key(parent) && made.insert(parent.to_owned()) {
                    append_directory(&mut archive, parent, 0o755)?;
                }
            }
            match entry {
                Entry::Directory { mode } => append_directory(&mut archive, target, *mode)?,
                Entry::Text { content, mode } => {
                    append(&mut archive, target, *mode, content.len() as u64, content.as_bytes())?;
                }
                Entry::File { source, mode } => {
                    let what = || format!("read {} for /{target} in image {}", source.display(), self.reference);
                    let file = File::open(source).with_context(what)?;
                    let size = file.metadata().with_context(what)?.len();
                    append(&mut archive, target, *mode, size, file).with_context(what)?;
                }
            }
        }
        let mut hashing = archive.into_inner()?;
        hashing.inner.flush()?;
        Ok(hex(&hashing.digest.finalize()))
    }

    fn config(&self, layer_digest: &str) -> serde_json::Value {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        let environment: Vec<String> = self.environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
        json!({
            "architecture": architecture,
            "os": "linux",
            "created": "1970-01-01T00:00:00Z",
            "config": {
                "User": self.user, "Env": environment, "Entrypoint": self.entrypoint, "Cmd": self.command,
                "WorkingDir": "/", "Labels": self.labels,
            },
            "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{layer_digest}")]},
            "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "mcp-e2e"}],
        })
    }
}

/// Fails with the way out when `path` is not an image archive, whatever it is instead.
pub fn check_archive(path: &Path) -> Result<()> {
    let how = "give the path of an archive made by `docker save`, `podman save` or this project's image packer";
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => bail!(no_such_archive(&path.to_string_lossy())),
        opened => opened.with_context(|| format!("cannot read {} as an image archive: {how}", path.display()))?,
    };
    if file.metadata()?.is_dir() {
        bail!("{} is a directory, not an image archive: {how}", path.display());
    }
    let mut archive = tar::Archive::new(BufReader::new(file));
    let entries = archive.entries_with_seek()?;
    for entry in entries {
        let Ok(entry) = entry else { break };
        let name = entry.path().map(|path| path.to_string_lossy().into_owned()).unwrap_or_default();
        if matches!(name.trim_start_matches("./"), "manifest.json" | "index.json" | "oci-layout") {
            return Ok(());
        }
    }
    bail!("{} is not an image archive (no manifest.json and no index.json in it): {how}", path.display());
}

/// Most often somebody gave the name of an image: here is how it becomes an archive.
fn no_such_archive(given: &str) -> String {
    let last = given.rsplit('/').next().unwrap_or_default();
    let short = last.split([':', '@']).next().unwrap_or_default();
    format!(
        "there is no file {given}: expected the path of an image archive. If {given} is the name of an image, make the \
         archive first, with `podman save --format docker-archive -o {short}.tar {given}` or `docker save -o {short}.tar \
         {given}`, and load {short}.tar"
    )
}

struct Hashing<W> {
    inner: W,
    digest: Sha256,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.inner.write_all(bytes)?;
        self.digest.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

fn append(archive: &mut tar::Builder<impl Write>, name: &str, mode: u32, size: u64, content: impl Read) -> Result<()> {
    let mut header = header(tar::EntryType::Regular, mode);
    header.set_size(size);
    archive.append_data(&mut header, name, content)?;
    Ok(())
}

fn append_directory(archive: &mut tar::Builder<impl Write>, name: &str, mode: u32) -> Result<()> {
    archive.append_data(&mut header(tar::EntryType::Directory, mode), format!("{name}/"), io::empty())?;
    Ok(())
}

fn header(kind: tar::EntryType, mode: u32) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(0);
    header
}

fn relative(target: &str) -> String {
    target.trim_matches('/').to_owned()
}

fn parents(target: &str) -> impl Iterator<Item = &str> {
    target.match_indices('/').filter_map(|(at, _)| target.get(..at))
}

/// Bytes as lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(source: &Path) -> Image {
        Image::new("localhost/sample:1")
            .file(source, "/usr/local/bin/sample", 0o755)
            .directory("/tmp", 0o1777)
            .text("/etc/passwd", "mcp:x:10001:10001::/:/none\n", 0o644)
            .entrypoint(["/usr/local/bin/sample"])
            .env("LANG", "C")
    }

    #[test]
    fn the_same_input_gives_the_same_bytes() {
        let home = tempfile::tempdir().unwrap();
        let source = home.path().join("program");
        std::fs::write(&source, b"static").unwrap();
        let first = sample(&source).pack(&home.path().join("a.tar")).unwrap();
        std::fs::File::options()
            .write(true)
            .open(&source)
            .unwrap()
            .set_modified(std::time::SystemTime::UNIX_EPOCH)
            .unwrap();
        let second = sample(&source).pack(&home.path().join("b.tar")).unwrap();
        assert_eq!(first, second);
        let read = |name: &str| std::fs::read(home.path().join(name)).unwrap();
        assert_eq!(read("a.tar"), read("b.tar"));
    }

    #[test]
    fn other_content_gives_another_id() {
        let home = tempfile::tempdir().unwrap();
        let source = home.path().join("program");
        std::fs::write(&source, b"one").unwrap();
        let first = sample(&source).pack(&home.path().join("a.tar")).unwrap();
        std::fs::write(&source, b"two").unwrap();
        assert_ne!(first.id, sample(&source).pack(&home.path().join("b.tar")).unwrap().id);
    }

    #[test]
    fn the_layer_holds_parents_modes_and_a_matching_digest() {
        let home = tempfile::tempdir().unwrap();
        let source = home.path().join("program");
        std::fs::write(&source, b"static").unwrap();
        let target = home.path().join("image.tar");
        sample(&source).pack(&target).unwrap();
        check_archive(&target).unwrap();

        let mut files = BTreeMap::new();
        for entry in tar::Archive::new(File::open(&target).unwrap()).entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            files.insert(entry.path().unwrap().to_string_lossy().into_owned(), content);
        }
        let manifest: serde_json::Value = serde_json::from_slice(&files["manifest.json"]).unwrap();
        let config: serde_json::Value =
            serde_json::from_slice(&files[manifest[0]["Config"].as_str().unwrap()]).unwrap();
        let layer = &files[manifest[0]["Layers"][0].as_str().unwrap()];
        assert_eq!(config["rootfs"]["diff_ids"][0], format!("sha256:{}", hex(&Sha256::digest(layer))));
        assert_eq!(config["config"]["User"], "10001:10001");

        let listed: Vec<(String, u32)> = tar::Archive::new(layer.as_slice())
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| (entry.path().unwrap().to_string_lossy().into_owned(), entry.header().mode().unwrap()))
            .collect();
        let expected = [
            ("etc/", 0o755),
            ("etc/passwd", 0o644),
            ("tmp/", 0o1777),
            ("usr/", 0o755),
            ("usr/local/", 0o755),
            ("usr/local/bin/", 0o755),
            ("usr/local/bin/sample", 0o755),
        ];
        assert_eq!(listed, expected.map(|(name, mode)| (name.to_owned(), mode)));
    }

    #[test]
    fn what_is_no_archive_is_refused_with_the_way_out() {
        let home = tempfile::tempdir().unwrap();
        let text = home.path().join("note.txt");
        std::fs::write(&text, "hello").unwrap();
        let error = check_archive(&text).unwrap_err().to_string();
        assert!(error.contains("not an image archive") && error.contains("podman save"), "{error}");
        let error = check_archive(Path::new("localhost:5000/image:1")).unwrap_err().to_string();
        assert!(error.contains("there is no file localhost:5000/image:1") && error.contains("archive"), "{error}");
        let command = "podman save --format docker-archive -o image.tar localhost:5000/image:1`";
        assert!(error.contains(command), "{error}");
    }

    #[test]
    fn a_reference_without_a_tag_is_refused() {
        let error = Image::new("localhost:5000/sample").pack(Path::new("never.tar")).unwrap_err().to_string();
        assert!(error.contains("expected name:tag"), "{error}");
    }
}

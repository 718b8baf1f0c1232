//! The key that consent is sealed with: a file that all replicas mount, or random bytes of this process.
//!
//! In: the file, looked at again and again. Out: the seal of now. A new key counts at once and the old one no more: who was
//! asked under it is asked again. A file that cannot be used changes nothing.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use super::seal::Seal;

/// The largest file that is taken for a key.
pub(crate) const LARGEST: u64 = 4096;
/// How often the file is read again.
const RELOAD: Duration = Duration::from_secs(2);

/// The key, and where it comes from.
#[derive(Debug)]
pub(crate) struct Key {
    file: Option<PathBuf>,
    seal: RwLock<Arc<Seal>>,
}

impl Key {
    /// The key in a file, or what was found instead.
    pub(crate) fn of(file: PathBuf) -> Result<Self, String> {
        let seal = read(&file)?;
        Ok(Self { file: Some(file), seal: RwLock::new(Arc::new(seal)) })
    }

    /// A key of this process alone; `None` when the system gives out no random bytes.
    pub(crate) fn random() -> Option<Self> {
        let seal = Seal::random()?;
        Some(Self { file: None, seal: RwLock::new(Arc::new(seal)) })
    }

    /// The seal of now.
    pub(super) fn seal(&self) -> Arc<Seal> {
        Arc::clone(&self.seal.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Follows the file. Ends at once where there is none, else never.
    pub(super) async fn follow(&self) {
        let Some(file) = &self.file else { return };
        let mut failing = false;
        loop {
            tokio::time::sleep(RELOAD).await;
            let file = file.clone();
            let Ok(read) = tokio::task::spawn_blocking(move || read(&file)).await else { continue };
            match read {
                Ok(seal) => {
                    failing = false;
                    if seal != *self.seal() {
                        tracing::info!("the key of consent changed");
                        *self.seal.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(seal);
                    }
                }
                Err(error) => {
                    if !failing {
                        tracing::error!(error, "the key of consent cannot be read again; that of before stays");
                    }
                    failing = true;
                }
            }
        }
    }
}

fn read(path: &Path) -> Result<Seal, String> {
    let wrong = |found: &dyn std::fmt::Display| format!("{}: {found}", path.display());
    let mut secret = Vec::new();
    let opened = File::open(path).map_err(|error| wrong(&error))?;
    opened.take(LARGEST + 1).read_to_end(&mut secret).map_err(|error| wrong(&error))?;
    if secret.len() as u64 > LARGEST {
        return Err(wrong(&"too large"));
    }
    Seal::new(&secret).ok_or_else(|| wrong(&format!("{} bytes", secret.len())))
}

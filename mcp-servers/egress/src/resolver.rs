//! Names resolved and checked in one step, so that what was checked is what is connected to.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::address;

/// The one name that may lead to this machine.
const THIS_MACHINE: &str = "localhost";

/// A way from a name to addresses.
pub trait Lookup: fmt::Debug + Send + Sync + 'static {
    /// All addresses of a name.
    fn addresses(&self, name: String) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;
}

/// The resolver of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemLookup;

impl Lookup for SystemLookup {
    fn addresses(&self, name: String) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>> {
        Box::pin(async move { Ok(tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect()) })
    }
}

/// A name that leads where requests do not go.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name} leads to {address}, and requests go to public addresses only")]
pub struct Refused {
    /// The name.
    pub name: String,
    /// The first address that is not allowed for it.
    pub address: IpAddr,
}

/// Resolves through `lookup` and lets only allowed answers through.
pub(crate) fn checked(lookup: Arc<dyn Lookup>) -> impl Resolve {
    Checked(lookup)
}

struct Checked(Arc<dyn Lookup>);

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let name = name.as_str().to_owned();
        let answer = self.0.addresses(name.clone());
        Box::pin(async move {
            let addresses = answer.await?;
            check(&name, &addresses)?;
            // Port 0 stands for the port of the URL.
            let addresses: Addrs = Box::new(addresses.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(addresses)
        })
    }
}

/// One address that is not allowed spoils the whole answer: whoever mixes them tries something.
fn check(name: &str, addresses: &[IpAddr]) -> Result<(), Refused> {
    let allowed = |address: &IpAddr| {
        if name == THIS_MACHINE { address.is_loopback() } else { address::is_public(*address) }
    };
    match addresses.iter().find(|address| !allowed(address)) {
        Some(address) => Err(Refused { name: name.to_owned(), address: *address }),
        None => Ok(()),
    }
}

//! The number that keeps clusters on one machine apart: addresses, ports and interface names follow from it.
//!
//! In: a small number. Out: ranges and names. Pure.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

/// How many native clusters fit side by side: services take 10.96 to 10.159.
pub const COUNT: u8 = 64;

const _: () = assert!(96 + COUNT - 1 < 244, "services and pods must never meet");

/// A cluster's place, from 0 to [`COUNT`] - 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Slot(pub u8);

impl Slot {
    /// All places, lowest first.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..COUNT).map(Self)
    }

    /// The range ClusterIPs come from.
    #[must_use]
    pub fn services(self) -> String {
        format!("10.{}.0.0/16", 96 + self.0)
    }

    /// The ClusterIP of the API server itself.
    #[must_use]
    pub fn api_service(self) -> Ipv4Addr {
        Ipv4Addr::new(10, 96 + self.0, 0, 1)
    }

    /// The ClusterIP of the cluster's name server.
    #[must_use]
    pub fn dns_service(self) -> Ipv4Addr {
        Ipv4Addr::new(10, 96 + self.0, 0, 10)
    }

    /// The range pod IPs come from.
    #[must_use]
    pub fn pods(self) -> String {
        format!("10.244.{}.0/24", self.0)
    }

    /// The node's address: the bridge that pods hang on.
    #[must_use]
    pub fn node(self) -> Ipv4Addr {
        Ipv4Addr::new(10, 244, self.0, 1)
    }

    /// The host's end of the link to the node.
    #[must_use]
    pub fn link_host(self) -> Ipv4Addr {
        Ipv4Addr::new(10, 250, self.0, 1)
    }

    /// The node's end of that link.
    #[must_use]
    pub fn link_node(self) -> Ipv4Addr {
        Ipv4Addr::new(10, 250, self.0, 2)
    }

    /// The name of the host's end.
    #[must_use]
    pub fn host_interface(self) -> String {
        format!("mcpeks{}", self.0)
    }

    /// The ports to try for a tier on loopback, best first: the n-th set is `BASE + n*1000 + slot*10`, below the
    /// range the kernel hands out by itself.
    pub fn port_bases(self) -> impl Iterator<Item = u16> {
        (0..12).map(move |attempt| 18_000 + attempt * 1000 + u16::from(self.0) * 10)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_first_slot_has_the_well_known_ranges() {
        let slot = Slot(0);
        assert_eq!((slot.services().as_str(), slot.pods().as_str()), ("10.96.0.0/16", "10.244.0.0/24"));
        assert_eq!(slot.dns_service().to_string(), "10.96.0.10");
        assert_eq!(
            (slot.link_host().to_string(), slot.link_node().to_string()),
            ("10.250.0.1".into(), "10.250.0.2".into())
        );
    }

    #[test]
    fn no_two_slots_share_anything() {
        let mut seen = BTreeSet::new();
        for slot in Slot::all() {
            let ports = slot.port_bases().map(|port| port.to_string());
            for item in [
                slot.services(),
                slot.pods(),
                slot.node().to_string(),
                slot.link_node().to_string(),
                slot.host_interface(),
            ]
            .into_iter()
            .chain(ports)
            {
                assert!(seen.insert(item.clone()), "{item} twice");
            }
            assert!(slot.host_interface().len() < 16, "the kernel's limit for interface names");
            assert!(slot.port_bases().all(|port| port < 32_000));
        }
    }
}

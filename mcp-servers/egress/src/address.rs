//! Which addresses a request may go to. Pure.
//!
//! The list of what is public is an allow-list for IPv6 and the registry of special addresses (RFC 6890 and its
//! successors) for IPv4. Addresses that carry an IPv4 address inside (mapped, NAT64, 6to4, Teredo) are never public:
//! they are ways around such a list.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address of the internet at large.
pub(crate) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// An address that a person may write into the settings by itself: public, private or loopback, but never one of
/// link-local scope or a metadata service, nor one that carries another.
pub(crate) fn may_be_written(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address) || address.is_private() || address.is_loopback(),
        IpAddr::V6(address) => {
            let private = address.is_unique_local() && !is_metadata_v6(address);
            is_public_v6(address) || private || address.is_loopback()
        }
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    !matches!(
        address.octets(),
        [0 | 10 | 127 | 224.., ..]
            | [100, 64..=127, ..]
            | [169, 254, ..]
            | [172, 16..=31, ..]
            | [192, 0, 0 | 2, _]
            | [192, 88, 99, _]
            | [192, 168, ..]
            | [198, 18 | 19, ..]
            | [198, 51, 100, _]
            | [203, 0, 113, _]
    )
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    // Only 2000::/3 is given out; in it, 2001::/23 is Teredo and other special uses, 2002::/16 is 6to4, the others are
    // for documentation.
    match address.segments() {
        [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x2002, ..] | [0x3fff, 0..=0xfff, ..] => false,
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

/// The metadata and credential services of AWS (fd00:ec2::254, fd00:ec2::23) and Google (fd20:ce::254).
fn is_metadata_v6(address: Ipv6Addr) -> bool {
    matches!(address.segments(), [0xfd00, 0xec2, ..] | [0xfd20, 0xce, ..])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Address, whether it is public, whether it may be written.
    const TABLE: &[(&str, bool, bool)] = &[
        ("93.184.216.34", true, true),
        ("100.63.255.255", true, true),
        ("100.128.0.1", true, true),
        ("172.15.0.1", true, true),
        ("172.32.0.1", true, true),
        ("198.17.0.1", true, true),
        ("223.255.255.255", true, true),
        ("2606:2800:220:1::1", true, true),
        ("2001:4860:4860::8888", true, true),
        ("10.0.0.1", false, true),
        ("172.16.0.1", false, true),
        ("172.31.255.255", false, true),
        ("192.168.1.1", false, true),
        ("127.0.0.1", false, true),
        ("127.255.255.254", false, true),
        ("::1", false, true),
        ("fd12:3456::1", false, true),
        ("0.0.0.0", false, false),
        ("0.1.2.3", false, false),
        ("100.64.0.1", false, false),
        ("100.100.100.200", false, false),
        ("169.254.169.254", false, false),
        ("169.254.170.23", false, false),
        ("192.0.0.192", false, false),
        ("192.0.2.1", false, false),
        ("192.88.99.1", false, false),
        ("198.18.0.1", false, false),
        ("198.51.100.1", false, false),
        ("203.0.113.1", false, false),
        ("224.0.0.1", false, false),
        ("240.0.0.1", false, false),
        ("255.255.255.255", false, false),
        ("::", false, false),
        ("::ffff:127.0.0.1", false, false),
        ("::ffff:93.184.216.34", false, false),
        ("::ffff:169.254.169.254", false, false),
        ("::127.0.0.1", false, false),
        ("64:ff9b::7f00:1", false, false),
        ("64:ff9b::a9fe:a9fe", false, false),
        ("64:ff9b:1::a9fe:a9fe", false, false),
        ("2002:7f00:1::", false, false),
        ("2001::1", false, false),
        ("2001:db8::1", false, false),
        ("3fff::1", false, false),
        ("fe80::1", false, false),
        ("fec0::1", false, false),
        ("ff02::1", false, false),
        ("fd00:ec2::254", false, false),
        ("fd00:ec2::23", false, false),
        ("fd20:ce::254", false, false),
    ];

    #[test]
    fn every_range_is_known() {
        for (text, public, written) in TABLE {
            let address: IpAddr = text.parse().unwrap();
            assert_eq!((is_public(address), may_be_written(address)), (*public, *written), "{text}");
        }
    }
}

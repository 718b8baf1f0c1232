//! Blocks of addresses: `10.0.0.0/8`, `2001:db8::/32`.

use std::{fmt, net::IpAddr, str::FromStr};

use super::NODE_LOCAL;

/// A block of addresses of one family, in its canonical form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    first: IpAddr,
    length: u8,
}

impl Cidr {
    /// Whether another block lies in this one.
    #[must_use]
    pub fn contains(self, other: Self) -> bool {
        self.first.is_ipv4() == other.first.is_ipv4()
            && self.length <= other.length
            && masked(other.first, self.length) == self.first
    }

    /// Whether the block holds nothing but services of the node, instance metadata among them.
    #[must_use]
    pub fn is_node_local(self) -> bool {
        NODE_LOCAL.iter().filter_map(|block| block.parse::<Self>().ok()).any(|block| block.contains(self))
    }
}

impl FromStr for Cidr {
    type Err = ();

    /// Reads an address, a slash and a prefix length; no bit may be set behind the prefix, as the API server warns.
    fn from_str(text: &str) -> Result<Self, ()> {
        let (address, length) = text.split_once('/').ok_or(())?;
        let digits = length.bytes().all(|byte| byte.is_ascii_digit()) && (length == "0" || !length.starts_with('0'));
        let first: IpAddr = address.parse().map_err(|_| ())?;
        let length: u8 = length.parse().map_err(|_| ())?;
        let widest = if first.is_ipv4() { 32 } else { 128 };
        // An IPv4 address in IPv6 clothes matches nothing.
        let canonical = first.to_canonical() == first;
        let valid = digits && length <= widest && canonical && masked(first, length) == first;
        if valid { Ok(Self { first, length }) } else { Err(()) }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.first, self.length)
    }
}

fn masked(address: IpAddr, length: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
            IpAddr::from((u32::from(address) & mask).to_be_bytes())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
            IpAddr::from((u128::from(address) & mask).to_be_bytes())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Cidr;

    #[test]
    fn blocks_are_read_in_one_form_alone() {
        for text in ["0.0.0.0/0", "10.0.0.0/8", "192.0.2.1/32", "::/0", "2001:db8::/32", "::1/128"] {
            assert_eq!(text.parse::<Cidr>().map(|cidr| cidr.to_string()).as_deref(), Ok(text));
        }
        for text in [
            "",
            "10.0.0.0",
            "10.0.0.1/8",
            "10.0.0.0/33",
            "10.0.0/8",
            "10.0.0.0/08",
            "10.0.0.0/+8",
            "a/8",
            "::/129",
            "::ffff:10.0.0.0/104",
            "10.0.0.0/",
            "fe80::1%eth0/64",
        ] {
            assert!(text.parse::<Cidr>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_block_contains_what_begins_with_it() {
        let contains = |whole: &str, part: &str| whole.parse::<Cidr>().unwrap().contains(part.parse().unwrap());
        for (whole, part) in [
            ("0.0.0.0/0", "169.254.0.0/16"),
            ("10.0.0.0/8", "10.1.2.0/24"),
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("::/0", "fd00:ec2::/32"),
        ] {
            assert!(contains(whole, part), "{part} is in {whole}");
            assert!(whole == part || !contains(part, whole), "{whole} is not in {part}");
        }
        assert!(!contains("10.0.0.0/8", "11.0.0.0/24"));
        assert!(!contains("0.0.0.0/0", "::/0"));
    }

    #[test]
    fn what_belongs_to_the_node_is_known() {
        let node_local = |text: &str| text.parse::<Cidr>().unwrap().is_node_local();
        assert!(node_local("169.254.169.254/32") && node_local("169.254.0.0/16") && node_local("fd00:ec2::254/128"));
        assert!(!node_local("169.0.0.0/8") && !node_local("10.0.0.0/8") && !node_local("::/0"));
    }
}

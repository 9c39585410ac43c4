//! Networks: CIDR ranges of both families and a compiled set of them.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// An address range: `10.0.0.0/8`, `fe80::/16`, or a bare address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cidr {
    address: IpAddr,
    length: u8,
}

/// Why a text is not a range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CidrError {
    /// The part before the slash is no address.
    #[error("'{0}' is not an IP address")]
    Address(String),
    /// The part behind the slash is no number, or too large.
    #[error("'{0}': prefix length is 0..{1}")]
    Length(String, u8),
}

impl FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, CidrError> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_no_detail| CidrError::Address(address.to_owned()))?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let length = match length {
            None => most,
            // Only digits: `u8::from_str` would take a sign.
            Some(digits) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => digits
                .parse()
                .ok()
                .filter(|length| *length <= most)
                .ok_or_else(|| CidrError::Length(text.to_owned(), most))?,
            Some(_) => return Err(CidrError::Length(text.to_owned(), most)),
        };
        Ok(Self { address, length })
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

impl Cidr {
    /// First and last address, v4 as v4-mapped v6.
    fn bounds(self) -> (u128, u128) {
        let (bits, length) = match self.address {
            IpAddr::V4(v4) => (u128::from(v4.to_ipv6_mapped()), u32::from(self.length) + 96),
            IpAddr::V6(v6) => (u128::from(v6), u32::from(self.length)),
        };
        let host = u128::MAX.checked_shr(length).unwrap_or(0);
        (bits & !host, bits | host)
    }
}

/// A compiled set: sorted, merged ranges; a lookup is one binary search. An IPv4 address and its v4-mapped IPv6
/// form are the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CidrSet {
    said: Vec<Cidr>,
    ranges: Vec<(u128, u128)>,
}

impl FromIterator<Cidr> for CidrSet {
    fn from_iter<I: IntoIterator<Item = Cidr>>(iter: I) -> Self {
        let said: Vec<Cidr> = iter.into_iter().collect();
        let mut bounds: Vec<(u128, u128)> = said.iter().map(|cidr| cidr.bounds()).collect();
        bounds.sort_unstable();
        let mut ranges: Vec<(u128, u128)> = Vec::with_capacity(bounds.len());
        for (first, last) in bounds {
            match ranges.last_mut() {
                Some(previous) if first <= previous.1 => previous.1 = previous.1.max(last),
                _ => ranges.push((first, last)),
            }
        }
        Self { said, ranges }
    }
}

impl FromStr for CidrSet {
    type Err = CidrError;

    /// A comma list; spaces around entries and empty entries are allowed.
    fn from_str(text: &str) -> Result<Self, CidrError> {
        text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::parse).collect()
    }
}

impl CidrSet {
    /// Whether `address` is in one of the ranges.
    pub fn contains(&self, address: IpAddr) -> bool {
        let bits = match address {
            IpAddr::V4(v4) => u128::from(v4.to_ipv6_mapped()),
            IpAddr::V6(v6) => u128::from(v6),
        };
        let behind = self.ranges.partition_point(|(first, _)| *first <= bits);
        behind.checked_sub(1).and_then(|index| self.ranges.get(index)).is_some_and(|(_, last)| bits <= *last)
    }

    /// Whether it has no range.
    pub fn is_empty(&self) -> bool {
        self.said.is_empty()
    }
}

impl fmt::Display for CidrSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<String> = self.said.iter().map(ToString::to_string).collect();
        write!(f, "{{{}}}", texts.join(", "))
    }
}

/// `::ffff:1.2.3.4` as `1.2.3.4`: the form in which addresses are compared, logged and forwarded.
pub fn canonical(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(IpAddr::V6(v6), IpAddr::V4),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// Loopback, link-local, unspecified or multicast: where a name from outside may never lead us.
pub fn is_forbidden_target(address: IpAddr) -> bool {
    match canonical(address) {
        IpAddr::V4(v4) => {
            v4.is_loopback()
                || v4.is_link_local()
                || v4.is_unspecified()
                || v4.is_multicast()
                || v4.is_broadcast()
        }
        IpAddr::V6(v6) => {
            v6.is_loopback() || v6.is_unspecified() || v6.is_multicast() || is_link_local_v6(v6)
        }
    }
}

fn is_link_local_v6(address: Ipv6Addr) -> bool {
    u128::from(address) >> 118 == 0xfe80 >> 6
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_set_takes_both_families_and_bare_addresses() {
        let set: CidrSet = "1.2.3.0/24, fe80::/16,, 9.9.9.9".parse().unwrap();
        for inside in ["1.2.3.0", "1.2.3.255", "fe80::1", "fe80:ffff::", "9.9.9.9", "::ffff:1.2.3.4"] {
            assert!(set.contains(ip(inside)), "{inside}");
        }
        for outside in ["1.2.2.255", "1.2.4.0", "fe81::", "9.9.9.8", "::1"] {
            assert!(!set.contains(ip(outside)), "{outside}");
        }
    }

    #[test]
    fn the_edges_of_prefix_lengths_hold() {
        assert!("0.0.0.0/0".parse::<CidrSet>().unwrap().contains(ip("255.255.255.255")));
        assert!(!"0.0.0.0/0".parse::<CidrSet>().unwrap().contains(ip("2001:db8::1")));
        assert!("::/0".parse::<CidrSet>().unwrap().contains(ip("2001:db8::1")));
        assert!("1.2.3.4/32".parse::<CidrSet>().unwrap().contains(ip("1.2.3.4")));
        assert!(!"1.2.3.4/32".parse::<CidrSet>().unwrap().contains(ip("1.2.3.5")));
    }

    #[test]
    fn bad_ranges_are_named() {
        for (text, want) in [
            ("1.2.3.0/240", "'1.2.3.0/240': prefix length is 0..32"),
            ("1.2.3.0/", "'1.2.3.0/': prefix length is 0..32"),
            ("::/129", "'::/129': prefix length is 0..128"),
            ("1.2.3.0/+8", "'1.2.3.0/+8': prefix length is 0..32"),
            ("1.2.3/8", "'1.2.3' is not an IP address"),
            ("all", "'all' is not an IP address"),
        ] {
            assert_eq!(text.parse::<CidrSet>().unwrap_err().to_string(), want);
        }
    }

    #[test]
    fn overlapping_ranges_merge() {
        let set: CidrSet = "10.0.0.0/8, 10.1.0.0/16, 10.0.0.0/9".parse().unwrap();
        assert_eq!(set.ranges.len(), 1);
        assert!(set.contains(ip("10.200.0.1")));
    }

    #[test]
    fn forbidden_targets_include_mapped_and_metadata_addresses() {
        for text in
            ["127.0.0.1", "::1", "::ffff:127.0.0.1", "169.254.169.254", "fe80::1", "febf::1", "0.0.0.0", "::"]
        {
            assert!(is_forbidden_target(ip(text)), "{text}");
        }
        for text in ["10.0.0.1", "2001:db8::1", "fec0::1"] {
            assert!(!is_forbidden_target(ip(text)), "{text}");
        }
    }
}

//! Which address a call comes from, behind proxies that are trusted to say so.

use std::{
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

use axum::http::{HeaderMap, HeaderName};
use ipnet::IpNet;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The client's address: the peer, or, as long as the one found so far is a trusted proxy, what it says in
/// `X-Forwarded-For`. That list is walked from its end, where the nearest proxy writes: what stands further left may
/// have been sent by the client itself.
pub fn address(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let mut client = peer.to_canonical();
    for line in headers.get_all(FORWARDED_FOR).iter().rev() {
        // A line that is no text hides what is left of it.
        let Ok(line) = line.to_str() else { return client };
        for hop in line.rsplit(',') {
            if !trusted.iter().any(|network| network.contains(&client)) {
                return client;
            }
            let Some(hop) = hop_address(hop.trim()) else { return client };
            client = hop;
        }
    }
    client
}

/// An address as proxies write it: with or without a port, IPv6 with or without brackets.
fn hop_address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().or_else(|_| text.parse().map(|address: SocketAddr| address.ip())).ok()?;
    Some(IpAddr::to_canonical(&address))
}

/// Networks in one text, separated by commas; none where it is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(pub Vec<IpNet>);

impl FromStr for Networks {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let listed = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        listed.map(network).collect::<Result<_, _>>().map(Self)
    }
}

/// A network, or one address.
fn network(text: &str) -> Result<IpNet, String> {
    let one = |_| text.parse::<IpAddr>().map(IpNet::from);
    text.parse().or_else(one).map_err(|_| format!("`{text}` is neither an address nor a CIDR such as 10.0.0.0/8"))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn client(peer: &str, lines: &[&str]) -> String {
        let trusted = ["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
        let lines = lines.iter().map(|line| (FORWARDED_FOR, HeaderValue::from_str(line).unwrap()));
        address(peer.parse().unwrap(), &lines.collect(), &trusted).to_string()
    }

    #[test]
    fn a_stranger_is_not_believed() {
        assert_eq!(client("203.0.113.9", &["198.51.100.1"]), "203.0.113.9");
        assert_eq!(client("::ffff:203.0.113.9", &[]), "203.0.113.9");
    }

    #[test]
    fn trusted_proxies_are_walked_from_the_right() {
        assert_eq!(client("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(client("10.0.0.1", &["6.6.6.6, 198.51.100.1, 10.0.0.2"]), "198.51.100.1");
        assert_eq!(client("10.0.0.1", &["6.6.6.6", "198.51.100.1", "10.0.0.2"]), "198.51.100.1");
        assert_eq!(client("::ffff:10.0.0.1", &["fd00::7,10.1.1.1"]), "fd00::7");
    }

    #[test]
    fn ports_and_brackets_are_understood() {
        assert_eq!(client("10.0.0.1", &["198.51.100.1:4711"]), "198.51.100.1");
        assert_eq!(client("fd00::1", &["[2001:db8::1]:4711"]), "2001:db8::1");
        assert_eq!(client("fd00::1", &["[2001:db8::1]"]), "2001:db8::1");
    }

    #[test]
    fn what_is_no_address_ends_the_walk() {
        for line in ["unknown", "", "6.6.6.6, _hidden", "6.6.6.6,"] {
            assert_eq!(client("10.0.0.1", &[line]), "10.0.0.1", "{line}");
        }
    }
}

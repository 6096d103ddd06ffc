//! Kubernetes' IP and CIDR libraries, reading text as Go's `net/netip` does: no zones, no IPv4-mapped IPv6, no leading zeros.

use super::{Function, global, member, mismatch, unreadable};
use crate::rule::expr::eval::Fault;
use crate::rule::expr::value::{CIDR, IP, STRING, Val};
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub(super) static TABLE: &[Function] = &[
    global("ip", &[STRING], |frame, args| match args {
        [Val::Text(text)] => match read_ip(text) {
            Ok(ip) => Ok(Val::Ip(ip)),
            Err(reason) => Err(unreadable(frame, "ip", "IP address", reason)),
        },
        _ => mismatch(),
    })
    .at_load(),
    global("isIP", &[STRING], |_, args| match args {
        [Val::Text(text)] => Ok(Val::Bool(read_ip(text).is_ok())),
        _ => mismatch(),
    }),
    global("ip.isCanonical", &[STRING], |frame, args| match args {
        [Val::Text(text)] => match read_ip(text) {
            Ok(ip) => Ok(Val::Bool(ip.to_string() == **text)),
            Err(reason) => Err(unreadable(frame, "ip.isCanonical", "IP address", reason)),
        },
        _ => mismatch(),
    }),
    member("family", &[IP], |_, args| match args {
        [Val::Ip(ip)] => Ok(Val::Int(if ip.is_ipv4() { 4 } else { 6 })),
        _ => mismatch(),
    }),
    member("isUnspecified", &[IP], |_, args| {
        test(args, IpAddr::is_unspecified)
    }),
    member("isLoopback", &[IP], |_, args| {
        test(args, IpAddr::is_loopback)
    }),
    member("isLinkLocalMulticast", &[IP], |_, args| {
        test(args, |ip| match ip {
            IpAddr::V4(ip) => ip.octets()[..3] == [224, 0, 0],
            IpAddr::V6(ip) => ip.segments()[0] & 0xff0f == 0xff02,
        })
    }),
    member("isLinkLocalUnicast", &[IP], |_, args| {
        test(args, is_link_local)
    }),
    member("isGlobalUnicast", &[IP], |_, args| {
        test(args, |ip| {
            *ip != IpAddr::V4(Ipv4Addr::BROADCAST)
                && !ip.is_unspecified()
                && !ip.is_loopback()
                && !ip.is_multicast()
                && !is_link_local(ip)
        })
    }),
    global("cidr", &[STRING], |frame, args| match args {
        [Val::Text(text)] => match read_cidr(text) {
            Ok(cidr) => Ok(Val::Cidr(cidr)),
            Err(reason) => Err(unreadable(frame, "cidr", "CIDR", reason)),
        },
        _ => mismatch(),
    })
    .at_load(),
    global("isCIDR", &[STRING], |_, args| match args {
        [Val::Text(text)] => Ok(Val::Bool(read_cidr(text).is_ok())),
        _ => mismatch(),
    }),
    member("containsIP", &[CIDR, IP | STRING], |frame, args| {
        let (cidr, ip) = match args {
            [Val::Cidr(cidr), Val::Ip(ip)] => (cidr, *ip),
            [Val::Cidr(cidr), Val::Text(text)] => match read_ip(text) {
                Ok(ip) => (cidr, ip),
                Err(reason) => return Err(unreadable(frame, "containsIP", "IP address", reason)),
            },
            _ => return mismatch(),
        };
        Ok(Val::Bool(cidr.contains(&ip)))
    }),
    member("containsCIDR", &[CIDR, CIDR | STRING], |frame, args| {
        let (cidr, other) = match args {
            [Val::Cidr(cidr), Val::Cidr(other)] => (cidr, *other),
            [Val::Cidr(cidr), Val::Text(text)] => match read_cidr(text) {
                Ok(other) => (cidr, other),
                Err(reason) => return Err(unreadable(frame, "containsCIDR", "CIDR", reason)),
            },
            _ => return mismatch(),
        };
        Ok(Val::Bool(
            cidr.contains(&other.addr()) && cidr.prefix_len() <= other.prefix_len(),
        ))
    }),
    member("ip", &[CIDR], |_, args| match args {
        [Val::Cidr(cidr)] => Ok(Val::Ip(cidr.addr())),
        _ => mismatch(),
    }),
    member("masked", &[CIDR], |_, args| match args {
        [Val::Cidr(cidr)] => Ok(Val::Cidr(cidr.trunc())),
        _ => mismatch(),
    }),
    member("prefixLength", &[CIDR], |_, args| match args {
        [Val::Cidr(cidr)] => Ok(Val::Int(cidr.prefix_len().into())),
        _ => mismatch(),
    }),
];

fn test<'a>(args: &[Val<'a>], test: impl Fn(&IpAddr) -> bool) -> Result<Val<'a>, Fault> {
    match args {
        [Val::Ip(ip)] => Ok(Val::Bool(test(ip))),
        _ => mismatch(),
    }
}

fn is_link_local(ip: &IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.segments()[0] & 0xffc0 == 0xfe80,
    }
}

fn read_ip(text: &str) -> Result<IpAddr, String> {
    let ip: IpAddr = text
        .parse()
        .map_err(|_| format!("{text:?} is no IP address"))?;
    match ip {
        IpAddr::V6(mapped) if is_mapped(&mapped) => Err(format!(
            "{text:?}: IPv4-mapped IPv6 addresses are not allowed"
        )),
        ip => Ok(ip),
    }
}

fn is_mapped(ip: &Ipv6Addr) -> bool {
    ip.to_ipv4_mapped().is_some()
}

fn read_cidr(text: &str) -> Result<IpNet, String> {
    let wrong = || format!("{text:?} is no CIDR; write for example `10.0.0.0/8`");
    let (address, length) = text.rsplit_once('/').ok_or_else(wrong)?;
    let address = read_ip(address)?;
    let plain =
        length.bytes().all(|b| b.is_ascii_digit()) && (length == "0" || !length.starts_with('0'));
    let length: u8 = length.parse().ok().filter(|_| plain).ok_or_else(wrong)?;
    IpNet::new(address, length).map_err(|_| wrong())
}

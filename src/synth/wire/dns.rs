//! DNS messages (RFC 1035), with EDNS (RFC 6891), and multicast DNS (RFC 6762).
//! In: a name, a type, addresses. Out: whole messages. Bounds: a message stays under 1,232 bytes.

use std::net::IpAddr;

use crate::units::Address;

pub(crate) const TYPE_A: u16 = 1;
pub(crate) const TYPE_PTR: u16 = 12;
pub(crate) const TYPE_TXT: u16 = 16;
pub(crate) const TYPE_AAAA: u16 = 28;
/// Service binding for HTTPS (RFC 9460): browsers ask for it beside the addresses.
pub(crate) const TYPE_HTTPS: u16 = 65;
pub(crate) const TYPE_CNAME: u16 = 5;
pub(crate) const TYPE_NULL: u16 = 10;
const TYPE_SOA: u16 = 6;
const TYPE_OPT: u16 = 41;
const CLASS_IN: u16 = 1;
/// Cache-flush bit of multicast DNS (RFC 6762 section 10.2).
const CACHE_FLUSH: u16 = 0x8000;
/// Offset of the question's name, as a compression pointer.
const QUESTION_NAME: u16 = 0xc00c;

/// Whether the client says that it takes more than 512 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Edns {
    Offered,
    Absent,
}

/// What a name leads to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer<'a> {
    /// Alias that stands between the name and its addresses, and its life in seconds.
    pub(crate) alias: Option<(&'a str, u32)>,
    pub(crate) addresses: &'a [Address],
    pub(crate) ttl_s: u32,
}

pub(crate) fn query(id: u16, name: &str, qtype: u16, edns: Edns) -> Vec<u8> {
    let mut out = header(id, 0x0100, [1, 0, 0, u16::from(edns == Edns::Offered)]);
    write_question(name, qtype, &mut out);
    write_opt(edns, &mut out);
    out
}

/// The answer to a question; without addresses it names the zone instead (no data, RFC 2308).
pub(crate) fn response(id: u16, name: &str, qtype: u16, edns: Edns, answer: &Answer) -> Vec<u8> {
    let fits = |address: &&Address| address.is_v4() == (qtype == TYPE_A);
    let addresses: Vec<_> = match qtype {
        TYPE_A | TYPE_AAAA => answer.addresses.iter().filter(fits).collect(),
        _ => Vec::new(),
    };
    let answers = addresses.len() + usize::from(answer.alias.is_some());
    let authorities = u16::from(addresses.is_empty());
    let mut out = header(id, 0x8180, [1, answers as u16, authorities, u16::from(edns == Edns::Offered)]);
    write_question(name, qtype, &mut out);
    let mut owner = QUESTION_NAME;
    if let Some((alias, ttl_s)) = answer.alias {
        write_record_head(QUESTION_NAME, TYPE_CNAME, CLASS_IN, ttl_s, &mut out);
        super::prefixed(&mut out, 2, |out| {
            owner = 0xc000 | out.len() as u16;
            write_name(alias, out);
        });
    }
    for address in &addresses {
        write_record_head(owner, qtype, CLASS_IN, answer.ttl_s, &mut out);
        super::prefixed(&mut out, 2, |out| write_address(**address, out));
    }
    if authorities == 1 {
        write_soa(answer.alias.map_or(name, |(alias, _)| alias), &mut out);
    }
    write_opt(edns, &mut out);
    out
}

/// An answer that holds what the zone's owner likes; of type A one address.
pub(crate) fn free_response(id: u16, name: &str, qtype: u16, free: &[u8]) -> Vec<u8> {
    let mut out = header(id, 0x8180, [1, 1, 0, 1]);
    write_question(name, qtype, &mut out);
    write_record_head(QUESTION_NAME, qtype, CLASS_IN, 1, &mut out);
    super::prefixed(&mut out, 2, |out| match qtype {
        TYPE_TXT => free.chunks(255).for_each(|part| super::prefixed(out, 1, |out| out.extend(part))),
        TYPE_CNAME => {
            let labels: Vec<String> =
                free.chunks(30).map(|part| part.iter().map(|byte| format!("{byte:02x}")).collect()).collect();
            write_name(&format!("{}.example", labels.join(".")), out);
        }
        TYPE_NULL => out.extend(free),
        _ => out.extend([203, 0, 113, free.first().copied().unwrap_or(1)]),
    });
    write_opt(Edns::Offered, &mut out);
    out
}

/// A name that does not exist.
pub(crate) fn no_such_name(id: u16, name: &str, qtype: u16, edns: Edns) -> Vec<u8> {
    let mut out = header(id, 0x8183, [1, 0, 1, u16::from(edns == Edns::Offered)]);
    write_question(name, qtype, &mut out);
    write_soa(name, &mut out);
    write_opt(edns, &mut out);
    out
}

/// What a device asks its neighbours.
pub(crate) fn multicast_query(services: &[&str]) -> Vec<u8> {
    let mut out = header(0, 0, [services.len() as u16, 0, 0, 0]);
    for service in services {
        write_question(service, TYPE_PTR, &mut out);
    }
    out
}

/// What a device tells its neighbours: which instance of a service it is.
pub(crate) fn multicast_announcement(service: &str, instance: &str) -> Vec<u8> {
    let mut out = header(0, 0x8400, [0, 2, 0, 0]);
    write_name(service, &mut out);
    out.extend([TYPE_PTR, CLASS_IN].map(u16::to_be_bytes).concat());
    out.extend(4500u32.to_be_bytes());
    let full = format!("{instance}.{service}");
    super::prefixed(&mut out, 2, |out| write_name(&full, out));
    write_name(&full, &mut out);
    out.extend([TYPE_TXT, CLASS_IN | CACHE_FLUSH].map(u16::to_be_bytes).concat());
    out.extend(4500u32.to_be_bytes());
    super::prefixed(&mut out, 2, |out| {
        super::prefixed(out, 1, |out| out.extend(b"md=2"));
    });
    out
}

fn header(id: u16, flags: u16, counts: [u16; 4]) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    out.extend(id.to_be_bytes());
    out.extend(flags.to_be_bytes());
    counts.iter().for_each(|count| out.extend(count.to_be_bytes()));
    out
}

fn write_question(name: &str, qtype: u16, out: &mut Vec<u8>) {
    write_name(name, out);
    out.extend(qtype.to_be_bytes());
    out.extend(CLASS_IN.to_be_bytes());
}

fn write_name(name: &str, out: &mut Vec<u8>) {
    for label in name.split('.').filter(|label| !label.is_empty()) {
        super::prefixed(out, 1, |out| out.extend(label.as_bytes()));
    }
    out.push(0);
}

fn write_record_head(owner: u16, kind: u16, class: u16, ttl_s: u32, out: &mut Vec<u8>) {
    out.extend(owner.to_be_bytes());
    out.extend(kind.to_be_bytes());
    out.extend(class.to_be_bytes());
    out.extend(ttl_s.to_be_bytes());
}

fn write_address(address: Address, out: &mut Vec<u8>) {
    match address.to_ip() {
        IpAddr::V4(v4) => out.extend(v4.octets()),
        IpAddr::V6(v6) => out.extend(v6.octets()),
    }
}

fn write_soa(name: &str, out: &mut Vec<u8>) {
    let zone = name.rsplitn(3, '.').take(2).collect::<Vec<_>>();
    let zone = zone.into_iter().rev().collect::<Vec<_>>().join(".");
    write_name(&zone, out);
    out.extend(TYPE_SOA.to_be_bytes());
    out.extend(CLASS_IN.to_be_bytes());
    out.extend(900u32.to_be_bytes());
    super::prefixed(out, 2, |out| {
        write_name(&format!("ns1.{zone}"), out);
        write_name(&format!("hostmaster.{zone}"), out);
        for number in [2_026_030_101u32, 7200, 900, 1_209_600, 900] {
            out.extend(number.to_be_bytes());
        }
    });
}

fn write_opt(edns: Edns, out: &mut Vec<u8>) {
    if edns == Edns::Offered {
        out.push(0);
        out.extend(TYPE_OPT.to_be_bytes());
        out.extend(1232u16.to_be_bytes());
        out.extend([0; 6]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use simple_dns::{Packet, rdata::RData};

    #[test]
    fn answers_parse_and_lead_to_the_addresses() {
        let addresses = [Address::v4([198, 51, 100, 4]), Address::v6([0x20; 16]), Address::v4([198, 51, 100, 9])];
        for alias in [None, Some(("edge.cdn.example", 300))] {
            for (qtype, wanted) in [(TYPE_A, 2), (TYPE_AAAA, 1), (TYPE_HTTPS, 0)] {
                for edns in [Edns::Offered, Edns::Absent] {
                    let answer = Answer { alias, addresses: &addresses, ttl_s: 60 };
                    let bytes = response(7, "www.a.example", qtype, edns, &answer);
                    let message = Packet::parse(&bytes).unwrap_or_else(|e| panic!("{qtype} {edns:?}: {e}"));
                    assert_eq!(message.questions[0].qname.to_string(), "www.a.example");
                    let found =
                        message.answers.iter().filter(|record| !matches!(record.rdata, RData::CNAME(_))).count();
                    assert_eq!(found, wanted, "{qtype} {edns:?}");
                    assert!(Packet::parse(&query(7, "www.a.example", qtype, edns)).is_ok());
                }
            }
        }
        assert!(Packet::parse(&no_such_name(1, "no.a.example", TYPE_A, Edns::Offered)).is_ok());
        assert!(Packet::parse(&multicast_query(&["_googlecast._tcp.local", "_airplay._tcp.local"])).is_ok());
        assert!(Packet::parse(&multicast_announcement("_airplay._tcp.local", "Living room")).is_ok());
    }
}

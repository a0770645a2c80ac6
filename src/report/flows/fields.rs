//! The fields of a flow record: one register for every format.
//! In: one row of [`FlowColumns`]. Out: its values, by field. Names are Zeek's (`conn.log`, `ssl.log`, `http.log`) where it
//! has the thing.
//! Not here: features, which come with names of their own.
//!
//! `community_id` is a hash over real addresses without a key: of a population whose prefix is known, every address can be
//! tried in seconds. So it is left out wherever one of the flow's two addresses is not shown as it is.

use std::borrow::Cow;

use super::super::escape::words;
use crate::flow::community_id::{Spelling, spelled};
use crate::flow::row::{CarrierRow, ConnState, FlowColumns, OrigBy, RowEnd};
use crate::packet::columns::TunnelKind;
use crate::packet::facts::{AppFacts, AppProtocol, CertificateFacts, DnsKind};
use crate::privacy::redact::redact;
use crate::units::{Address, Side, TimestampNs};

/// A value of a field.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell<'a> {
    /// Not known, or not applicable.
    None,
    /// A count.
    Count(u64),
    /// A measure.
    Real(f64),
    /// A time.
    Time(TimestampNs),
    /// Words.
    Text(Cow<'a, str>),
}

/// What the values of a field are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// [`Cell::Count`].
    Count,
    /// [`Cell::Real`].
    Real,
    /// [`Cell::Time`].
    Time,
    /// [`Cell::Text`].
    Text,
}

/// A field of a flow record.
pub struct FlowField {
    /// Its column.
    pub name: &'static str,
    /// What its values are.
    pub kind: FieldKind,
    /// What it says, with its unit.
    pub doc: &'static str,
    read: for<'a> fn(&mut RowView<'a, '_>) -> Cell<'a>,
}

impl FlowField {
    /// The field's value in a row.
    pub fn read<'a>(&self, row: &mut RowView<'a, '_>) -> Cell<'a> {
        (self.read)(row)
    }
}

/// One row, with its addresses as they are shown.
pub struct RowView<'a, 's> {
    rows: &'a FlowColumns,
    i: usize,
    show: &'s mut (dyn FnMut(Address) -> Address + Send),
    ends: [Address; 2],
    /// Both ends are shown as they are.
    is_open: bool,
}

impl<'a, 's> RowView<'a, 's> {
    /// Row `i` of `rows`.
    pub fn new(rows: &'a FlowColumns, i: usize, show: &'s mut (dyn FnMut(Address) -> Address + Send)) -> Self {
        let real = Side::BOTH.map(|side| rows.address(i, side));
        let ends = real.map(&mut *show);
        let is_open = ends == real;
        Self { rows, i, show, ends, is_open }
    }

    fn facts(&self) -> Option<&'a AppFacts> {
        self.rows.facts[self.i].as_deref()
    }

    fn certificate(&self) -> Option<&'a CertificateFacts> {
        self.facts().and_then(|facts| facts.certificate.as_deref())
    }

    fn carrier(&self) -> Option<&'a CarrierRow> {
        self.rows.carrier[self.i].as_ref()
    }

    /// Words from the wire: addresses in them as they are shown, nothing unruly.
    fn wire(&mut self, text: &'a str) -> Cell<'a> {
        Cell::Text(match redact(text, &mut *self.show) {
            Cow::Borrowed(text) => words(text),
            Cow::Owned(text) => Cow::Owned(words(&text).into_owned()),
        })
    }

    fn wire_of(&mut self, text: Option<&'a str>) -> Cell<'a> {
        text.map_or(Cell::None, |text| self.wire(text))
    }

    fn outer(&mut self, which: usize) -> Cell<'a> {
        self.carrier().map_or(Cell::None, |carrier| address((self.show)(carrier.outer[which])))
    }
}

fn address(address: Address) -> Cell<'static> {
    Cell::Text(address.to_string().into())
}

fn word(word: &'static str) -> Cell<'static> {
    Cell::Text(word.into())
}

fn count_of(n: Option<impl Into<u64>>) -> Cell<'static> {
    n.map_or(Cell::None, |n| Cell::Count(n.into()))
}

/// A field; `side_count!` one that is a column of a side.
macro_rules! field {
    ($name:literal, $kind:ident, $doc:literal, |$row:ident| $value:expr) => {
        FlowField { name: $name, kind: FieldKind::$kind, doc: $doc, read: |$row| $value }
    };
}
macro_rules! side_count {
    ($name:literal, $side:ident . $column:ident, $doc:literal) => {
        field!($name, Count, $doc, |row| Cell::Count(row.rows.sides[Side::$side.index()].$column[row.i].into()))
    };
}

/// The fields, in the order of the columns.
pub const FIELDS: &[FlowField] = &[
    field!("ts", Time, "first packet of the row", |row| Cell::Time(row.rows.ts_first[row.i])),
    field!("duration", Real, "seconds from the row's first packet to its last", |row| {
        Cell::Real(row.rows.ts_last[row.i].since(row.rows.ts_first[row.i]).as_secs_f64())
    }),
    field!("flow_start", Time, "first packet of the whole flow", |row| Cell::Time(row.rows.flow_start[row.i])),
    field!("row_number", Count, "rows of the flow before this one", |row| {
        Cell::Count(row.rows.row_number[row.i].into())
    }),
    field!("row_end", Text, "why the row ends", |row| word(row_end(row.rows.end[row.i]))),
    field!("orig_h", Text, "address of the side that began", |row| address(row.ends[0])),
    field!("orig_p", Count, "its port; ICMP: type or code, as Community ID pairs them", |row| {
        Cell::Count(row.rows.port(row.i, Side::Orig).into())
    }),
    field!("resp_h", Text, "address of the side that was called", |row| address(row.ends[1])),
    field!("resp_p", Count, "its port; ICMP: type or code, as Community ID pairs them", |row| {
        Cell::Count(row.rows.port(row.i, Side::Resp).into())
    }),
    field!("proto", Text, "transport protocol, else its IP protocol number", |row| protocol(
        row.rows.key[row.i].protocol
    )),
    field!("service", Text, "application protocol that the flow's bytes prove", |row| {
        row.facts().and_then(|facts| facts.protocol).map_or(Cell::None, |app| word(app.name()))
    }),
    field!("orig_by", Text, "how the side that began was told", |row| word(orig_by(row.rows.orig_by[row.i]))),
    field!("conn_state", Text, "Zeek's connection state, over the whole flow so far", |row| {
        word(conn_state(row.rows.state[row.i]))
    }),
    field!("history", Text, "Zeek's history, over the whole flow so far", |row| history(row)),
    side_count!("orig_bytes", Orig.stream_bytes, "payload bytes, repeated ones once (by TCP sequence numbers)"),
    side_count!("resp_bytes", Resp.stream_bytes, "payload bytes, repeated ones once (by TCP sequence numbers)"),
    side_count!("orig_pkts", Orig.packets, "packets"),
    side_count!("resp_pkts", Resp.packets, "packets"),
    side_count!("orig_ip_bytes", Orig.ip_bytes, "bytes of IP packets by their headers"),
    side_count!("resp_ip_bytes", Resp.ip_bytes, "bytes of IP packets by their headers"),
    side_count!("orig_payload_bytes", Orig.payload_bytes, "payload bytes as sent, repeated ones again"),
    side_count!("resp_payload_bytes", Resp.payload_bytes, "payload bytes as sent, repeated ones again"),
    side_count!("orig_retransmissions", Orig.retransmissions, "TCP packets that repeat bytes"),
    side_count!("resp_retransmissions", Resp.retransmissions, "TCP packets that repeat bytes"),
    side_count!("orig_ttl_min", Orig.ttl_min, "smallest TTL or hop limit"),
    side_count!("resp_ttl_min", Resp.ttl_min, "smallest TTL or hop limit"),
    side_count!("orig_ttl_max", Orig.ttl_max, "largest TTL or hop limit"),
    side_count!("resp_ttl_max", Resp.ttl_max, "largest TTL or hop limit"),
    field!("rtt", Real, "seconds from SYN to SYN+ACK; none where not seen", |row| {
        let rtt = row.rows.rtt_syn_ack[row.i];
        if rtt.0 == 0 { Cell::None } else { Cell::Real(rtt.as_secs_f64()) }
    }),
    field!("community_id", Text, "Community ID v1, seed 0; only where both addresses are shown as they are", |row| {
        match row.is_open {
            true => Cell::Text(spelled(&row.rows.key[row.i], row.rows.orig_end[row.i], 0, Spelling::Base64).into()),
            false => Cell::None,
        }
    }),
    field!("tunnel", Text, "kind of the innermost wrapping", |row| row
        .carrier()
        .map_or(Cell::None, |c| word(tunnel(c.kind)))),
    field!("tunnel_a", Text, "outer address, lower end", |row| row.outer(0)),
    field!("tunnel_b", Text, "outer address, upper end", |row| row.outer(1)),
    field!("tunnel_port", Count, "outer destination port; 0 for IP protocols", |row| count_of(
        row.carrier().map(|c| c.port)
    )),
    field!("tunnel_id", Count, "VNI, TEID, key or session of the first packet", |row| count_of(
        row.carrier().map(|c| c.id)
    )),
    field!("tunnel_depth", Count, "wrappings around the packet", |row| count_of(row.carrier().map(|c| c.depth))),
    field!("server_name", Text, "TLS or QUIC SNI, HTTP Host, first DNS query name", |row| {
        row.wire_of(row.facts().and_then(|facts| facts.server_name.as_deref()))
    }),
    field!("alpn", Text, "application protocol of the TLS handshake", |row| {
        row.wire_of(row.facts().and_then(|facts| facts.alpn.as_deref()))
    }),
    field!("ja4", Text, "JA4 of the client hello", |row| row
        .wire_of(row.facts().and_then(|facts| facts.ja4.as_deref()))),
    field!("ja4_retry", Text, "JA4 of the second client hello, where the server asked for one", |row| {
        row.wire_of(row.facts().and_then(|facts| facts.seldom().ja4_retry.as_deref()))
    }),
    field!("tls_version", Text, "negotiated, or offered until the server answers", |row| {
        row.facts().and_then(|facts| facts.tls_version).map_or(Cell::None, tls_version)
    }),
    field!("tls_cipher", Text, "the server's cipher suite, IANA number in hexadecimal", |row| {
        row.facts().and_then(|facts| facts.tls_cipher).map_or(Cell::None, |n| Cell::Text(format!("0x{n:04x}").into()))
    }),
    field!("server_fingerprint", Text, "hash of version, cipher and extension order of the server hello", |row| {
        row.facts().and_then(|facts| facts.server_fingerprint).map_or(Cell::None, hash)
    }),
    field!("issuer", Text, "issuer of the server's certificate, RFC 4514", |row| {
        row.wire_of(row.certificate().map(|certificate| &*certificate.issuer))
    }),
    field!("subject", Text, "subject of the server's certificate, RFC 4514", |row| {
        row.wire_of(row.certificate().map(|certificate| &*certificate.subject))
    }),
    field!("cert_names", Text, "names of the server's certificate, with spaces between them", |row| cert_names(row)),
    field!("cert_key_hash", Text, "first 8 bytes of SHA-256 over the certificate's public key", |row| {
        row.certificate().map_or(Cell::None, |certificate| hash(certificate.key_hash))
    }),
    field!("http_method", Text, "method of the first request", |row| {
        row.wire_of(row.facts().and_then(|facts| facts.seldom().http_method.as_deref()))
    }),
    field!("http_path", Text, "path of the first request without its query", |row| {
        row.wire_of(row.facts().and_then(|facts| facts.seldom().http_path.as_deref()))
    }),
    field!("http_status", Count, "status of the first answer", |row| count_of(
        row.facts().and_then(|facts| facts.seldom().http_status)
    )),
    field!("ssh_client", Text, "the client's identification", |row| {
        row.wire_of(row.facts().and_then(|facts| facts.seldom().ssh_banners[0].as_deref()))
    }),
    field!("ssh_server", Text, "the server's identification", |row| {
        row.wire_of(row.facts().and_then(|facts| facts.seldom().ssh_banners[1].as_deref()))
    }),
    field!("dns_kind", Text, "whether DNS messages ask a resolver or neighbours", |row| {
        match row.facts().filter(|facts| facts.protocol == Some(AppProtocol::Dns)) {
            Some(facts) => word(dns_kind(facts.dns_kind)),
            None => Cell::None,
        }
    }),
    field!("dns_queries", Count, "DNS queries in the flow", |row| count_of(row.facts().map(|facts| facts.dns_queries))),
    field!("dns_answers", Count, "DNS responses in the flow", |row| count_of(
        row.facts().map(|facts| facts.dns_answers)
    )),
    field!("file", Count, "input file of the row's first frame, from 0 in the order of the command line", |row| {
        Cell::Count(row.rows.first_frame[row.i].0.into())
    }),
    field!("frame", Count, "number of the row's first frame in its file, from 1", |row| {
        Cell::Count(row.rows.first_frame[row.i].1)
    }),
];

fn cert_names<'a>(row: &mut RowView<'a, '_>) -> Cell<'a> {
    let names = row.certificate().map_or(&[][..], |certificate| &certificate.names);
    let mut out = String::new();
    for name in names {
        if let Cell::Text(name) = row.wire(name) {
            out.push_str(if out.is_empty() { "" } else { " " });
            out.push_str(&name);
        }
    }
    if out.is_empty() { Cell::None } else { Cell::Text(out.into()) }
}

fn history<'a>(row: &mut RowView<'a, '_>) -> Cell<'a> {
    let letters = &row.rows.history[row.i];
    let length = letters.iter().position(|letter| *letter == 0).unwrap_or(letters.len());
    match std::str::from_utf8(&letters[..length]) {
        Ok("") | Err(_) => Cell::None,
        Ok(letters) => Cell::Text(letters.into()),
    }
}

fn hash(hash: u64) -> Cell<'static> {
    Cell::Text(format!("{hash:016x}").into())
}

fn protocol(number: u8) -> Cell<'static> {
    match number {
        1 | 58 => word("icmp"),
        6 => word("tcp"),
        17 => word("udp"),
        132 => word("sctp"),
        other => Cell::Text(other.to_string().into()),
    }
}

/// Zeek's names (`TLSv12`).
fn tls_version(version: u16) -> Cell<'static> {
    match version {
        0x0300 => word("SSLv3"),
        0x0301 => word("TLSv10"),
        0x0302 => word("TLSv11"),
        0x0303 => word("TLSv12"),
        0x0304 => word("TLSv13"),
        other => Cell::Text(format!("0x{other:04x}").into()),
    }
}

fn dns_kind(kind: DnsKind) -> &'static str {
    match kind {
        DnsKind::Unicast => "unicast",
        DnsKind::Mdns => "mdns",
        DnsKind::Llmnr => "llmnr",
    }
}

fn row_end(end: RowEnd) -> &'static str {
    match end {
        RowEnd::Window => "window",
        RowEnd::Idle => "idle",
        RowEnd::Active => "active",
        RowEnd::Closed => "closed",
        RowEnd::Evicted => "evicted",
        RowEnd::EndOfInput => "end-of-input",
    }
}

fn orig_by(orig_by: OrigBy) -> &'static str {
    match orig_by {
        OrigBy::Handshake => "handshake",
        OrigBy::Ports => "ports",
        OrigBy::First => "first",
    }
}

fn conn_state(state: ConnState) -> &'static str {
    match state {
        ConnState::S0 => "S0",
        ConnState::S1 => "S1",
        ConnState::SF => "SF",
        ConnState::REJ => "REJ",
        ConnState::S2 => "S2",
        ConnState::S3 => "S3",
        ConnState::RSTO => "RSTO",
        ConnState::RSTR => "RSTR",
        ConnState::RSTOS0 => "RSTOS0",
        ConnState::RSTRH => "RSTRH",
        ConnState::SH => "SH",
        ConnState::SHR => "SHR",
        ConnState::OTH => "OTH",
    }
}

fn tunnel(kind: TunnelKind) -> &'static str {
    match kind {
        TunnelKind::Gre => "gre",
        TunnelKind::ErspanI => "erspan-i",
        TunnelKind::ErspanII => "erspan-ii",
        TunnelKind::ErspanIII => "erspan-iii",
        TunnelKind::IpInIp => "ip-in-ip",
        TunnelKind::SixInFour => "6in4",
        TunnelKind::Vxlan => "vxlan",
        TunnelKind::Geneve => "geneve",
        TunnelKind::GtpU => "gtp-u",
        TunnelKind::Tzsp => "tzsp",
        TunnelKind::L2tp => "l2tp",
        TunnelKind::Teredo => "teredo",
        TunnelKind::MplsInUdp => "mpls-in-udp",
        TunnelKind::Hep => "hep",
        TunnelKind::Rpcap => "rpcap",
        TunnelKind::Ayiya => "ayiya",
        TunnelKind::Pptp => "pptp",
    }
}

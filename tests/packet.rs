//! The packet room against real captures: Zeek's connection logs and etherparse are the judges.
//! In: the shared captures, found beside the project or named by `TRAWLWATCH_CAPTURES`; without them nothing is run.

#![expect(clippy::print_stdout, reason = "a test that cannot run says so")]

#[path = "packet/judge.rs"]
mod judge;
#[path = "packet/robust.rs"]
mod robust;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use trawlwatch::capture::{Captures, FrameBatch, InputPath};
use trawlwatch::packet::columns::{
    ExportDatagram, ExportKind, FlowKey, NO_TUNNEL, PacketColumns, PacketRow, TunnelKind, TunnelRef,
};
use trawlwatch::packet::{ChecksumCheck, Parser, ParserLimits};
use trawlwatch::units::Address;

/// The folder of captures, where there is one.
fn captures_dir(test: &str) -> Option<PathBuf> {
    let dir = match std::env::var_os("TRAWLWATCH_CAPTURES") {
        Some(dir) => PathBuf::from(dir),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/captures"),
    };
    if !dir.is_dir() {
        println!("not run: {test}: no captures at {}", dir.display());
        return None;
    }
    Some(dir)
}

/// Every file that could be a capture, in a fixed order.
fn all_files(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![dir.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("the folder is readable").flatten() {
            let path = entry.path();
            match path.is_dir() {
                true => folders.push(path),
                false => files.push(path),
            }
        }
    }
    files.sort();
    files
}

/// One parsed capture.
#[derive(Default)]
struct Parsed {
    rows: Vec<(PacketRow, Option<TunnelRef>)>,
    exports: Vec<ExportDatagram>,
}

/// Parses a capture; `look` sees every batch with its columns.
fn parse(path: &Path, limits: ParserLimits, mut look: impl FnMut(&FrameBatch, &PacketColumns)) -> Option<Parsed> {
    let mut captures = Captures::open(&[InputPath::parse(path)]).ok()?;
    let mut parser = Parser::new(limits);
    let mut batch = FrameBatch::new(captures.maps());
    let (mut columns, mut parsed, mut more) = (PacketColumns::default(), Parsed::default(), true);
    while more {
        batch.clear();
        columns.clear();
        while more && !batch.is_full() {
            match captures.next_frame() {
                Some(frame) => batch.push(&frame),
                None => more = false,
            }
        }
        parser.parse_batch(&batch, &mut columns);
        look(&batch, &columns);
        for i in 0..columns.len() {
            let row = columns.row(i);
            let tunnel = (row.tunnel != NO_TUNNEL).then(|| columns.tunnels[usize::from(row.tunnel)]);
            parsed.rows.push((row, tunnel));
        }
        parsed.exports.append(&mut columns.exports);
    }
    Some(parsed)
}

fn parse_file(path: &Path) -> Parsed {
    parse(path, ParserLimits::default(), |_, _| {}).unwrap_or_else(|| panic!("{}: does not open", path.display()))
}

/// "address:port address:port protocol", lower end first.
fn ends(key: &FlowKey) -> String {
    let [a, b] = key.addresses;
    format!("{a}:{} {b}:{} {}", key.ports[0], key.ports[1], key.protocol)
}

/// The tunnel files: how many inner packets of each kind and depth, and the end points of the first one.
/// What tshark calls a tunnel in `tunnels/` and `mobile-core/` and is absent here carries no IP packet: see
/// `tunnels_that_carry_no_packet`.
const TUNNELS: &[(&str, TunnelKind, u8, usize, &str)] = &[
    // file, kind, depth, inner packets, first inner end points
    ("tunnels/ndpi__4in4tunnel.pcap", TunnelKind::IpInIp, 1, 5, "10.10.100.25:62367 10.10.101.2:17000 17"),
    ("tunnels/ndpi__4in6tunnel.pcap", TunnelKind::IpInIp, 1, 4, "10.10.10.1:443 192.168.0.1:64455 6"),
    ("tunnels/zeek__tunnels__4in4.pcap", TunnelKind::IpInIp, 1, 1, "10.0.0.1:30000 10.0.0.2:13000 17"),
    ("tunnels/zeek__tunnels__4in6.pcap", TunnelKind::IpInIp, 1, 1, "70.55.213.211:31337 192.88.99.1:80 6"),
    ("tunnels/zeek__tunnels__6in4.pcap", TunnelKind::SixInFour, 1, 1, "cafe::babe:13000 dead::beef:30000 17"),
    (
        "tunnels/zeek__tunnels__6in6-tunnel-change.pcap",
        TunnelKind::IpInIp,
        1,
        2,
        "cafe::babe:13000 dead::beef:30000 17",
    ),
    ("tunnels/zeek__tunnels__6in6in6.pcap", TunnelKind::IpInIp, 2, 1, "cafe::babe:13000 dead::beef:30000 17"),
    (
        "conformance/ndpi/ndpi__syslog.pcap",
        TunnelKind::SixInFour,
        1,
        6,
        "2001:470:6c:a1::2:38159 2001:470:765b::b15:22:514 17",
    ),
    (
        "tunnels/suricata-verify__decode-erspan-typeII-01__input.pcap",
        TunnelKind::ErspanII,
        1,
        4,
        "23.0.0.2:8 23.0.0.3:0 1",
    ),
    ("tunnels/tcpdump__erspan-type-i-1.pcap", TunnelKind::ErspanI, 1, 2, "10.52.128.233:8 10.52.128.234:0 1"),
    ("tunnels/tcpdump__erspan-type-ii-2.pcap", TunnelKind::ErspanII, 1, 16, "10.200.101.2:1985 224.0.0.2:1985 17"),
    ("tunnels/tcpdump__erspan-type-iii-ft-0.pcap", TunnelKind::ErspanIII, 1, 9, "10.29.11.1:8 10.29.20.21:0 1"),
    ("tunnels/zeek__erspanIII.pcap", TunnelKind::ErspanIII, 1, 2, "1.1.1.1:0 192.168.15.47:8 1"),
    (
        "conformance/ja4/ja4__gre-erspan-vxlan.pcap",
        TunnelKind::ErspanII,
        1,
        7,
        "172.16.27.121:4790 172.16.27.131:4789 17",
    ),
    ("conformance/ja4/ja4__gre-erspan-vxlan.pcap", TunnelKind::Vxlan, 2, 7, "10.16.27.12:65174 10.16.27.131:80 6"),
    ("conformance/ja4/ja4__gre-sample.pcap", TunnelKind::Gre, 1, 40, "66.59.111.190:8 172.28.2.3:0 1"),
    ("tunnels/tcpdump__wccp_redirect_gre.pcap", TunnelKind::Gre, 1, 1, "10.254.108.228:445 10.254.127.195:1291 6"),
    ("tunnels/zeek__tunnels__gre-pptp.pcap", TunnelKind::IpInIp, 1, 2, "16.0.0.200:0 192.52.166.154:0 47"),
    ("tunnels/zeek__tunnels__gre-pptp.pcap", TunnelKind::Pptp, 2, 2, "8.8.8.8:53 172.16.44.3:40768 17"),
    (
        "tunnels/suricata-verify__vxlan-decoder-01__input.pcap",
        TunnelKind::Vxlan,
        1,
        1,
        "10.96.0.10:53 185.27.115.6:12345 17",
    ),
    (
        "tunnels/suricata-verify__vxlan-decoder-02__vxlan.pcap",
        TunnelKind::Vxlan,
        1,
        8,
        "192.168.203.3:8 192.168.203.5:0 1",
    ),
    (
        "tunnels/suricata-verify__vxlan-decoder-03__vxlan.pcap",
        TunnelKind::Vxlan,
        1,
        100,
        "78.46.93.39:123 172.31.0.238:60631 17",
    ),
    (
        "tunnels/suricata-verify__vxlan-non-zero-reserved-fields__input.pcap",
        TunnelKind::Vxlan,
        1,
        10,
        "192.168.1.134:80 218.94.93.34:51252 6",
    ),
    ("tunnels/tcpdump__vxlan_port_8472.pcap", TunnelKind::Vxlan, 1, 8, "192.168.203.3:8 192.168.203.5:0 1"),
    ("tunnels/tcpdump__bigtcp-ipv4-vxlan-ipv4.pcap", TunnelKind::Vxlan, 1, 1, "192.168.1.1:36449 192.168.1.2:36875 6"),
    ("tunnels/tcpdump__bigtcp-ipv4-vxlan-ipv6.pcap", TunnelKind::Vxlan, 1, 1, "fd00::1:36425 fd00::2:33673 6"),
    ("tunnels/tcpdump__bigtcp-ipv6-vxlan-ipv6.pcap", TunnelKind::Vxlan, 1, 1, "fd00::1:40007 fd00::2:40607 6"),
    ("tunnels/tcpdump__gso-ipv4-vxlan-ipv6.pcap", TunnelKind::Vxlan, 1, 1, "fd00::1:40145 fd00::2:44479 6"),
    ("tunnels/zeek__tunnels__vxlan.pcap", TunnelKind::Vxlan, 1, 8, "10.0.0.1:8 10.0.0.2:0 1"),
    (
        "tunnels/zeek__tunnels__vxlan-encapsulated-igmp-v2.pcap",
        TunnelKind::Vxlan,
        1,
        3,
        "192.168.9.80:0 224.0.0.251:0 2",
    ),
    ("tunnels/zeek__tunnels__vxlan-triple-v2.pcap", TunnelKind::Vxlan, 3, 1, "4.4.4.4:53 4.4.4.9:53 17"),
    ("tunnels/tcpdump__bigtcp-ipv4-geneve-ipv6.pcap", TunnelKind::Geneve, 1, 1, "fd00::1:41423 fd00::2:40433 6"),
    ("tunnels/tcpdump__bigtcp-ipv6-geneve-ipv6.pcap", TunnelKind::Geneve, 1, 1, "fd00::1:38339 fd00::2:43997 6"),
    ("tunnels/tcpdump__gso-ipv4-geneve-ipv4.pcap", TunnelKind::Geneve, 1, 1, "192.168.1.1:37633 192.168.1.2:40769 6"),
    ("tunnels/tcpdump__gso-ipv6-geneve-ipv4.pcap", TunnelKind::Geneve, 1, 1, "192.168.1.1:41507 192.168.1.2:36991 6"),
    ("tunnels/tcpdump__geneve-gcp.pcap", TunnelKind::Geneve, 1, 1, "192.168.100.1:8080 192.168.100.2:2905 6"),
    ("tunnels/zeek__tunnels__geneve-47101.pcap", TunnelKind::Geneve, 1, 24, "145.40.68.75:443 192.168.0.107:45474 6"),
    ("tunnels/zeek__tunnels__geneve-ipv6.pcap", TunnelKind::Geneve, 1, 2, "fd00::1:40000 fd00::2:40001 17"),
    (
        "tunnels/zeek__tunnels__geneve-vxlan-dns-truncated.pcap",
        TunnelKind::Vxlan,
        2,
        2,
        "1.1.1.1:53 172.16.11.201:36872 17",
    ),
    ("conformance/ja4/ja4__tcpdump-geneve.pcap", TunnelKind::Geneve, 1, 39, "30.0.0.1:8 30.0.0.2:0 1"),
    (
        "mobile-core/arkime__pcap__ipv6-gtp6.pcap",
        TunnelKind::GtpU,
        1,
        1,
        "1111:2222:3333:4444:5555:7777:::53 1111:2222:3333:4444:5555:8888:a8ac:7bc0:57030 17",
    ),
    (
        "mobile-core/ndpi__ipv6_in_gtp.pcap",
        TunnelKind::GtpU,
        1,
        2,
        "2607:fc20:4052:39e:490a:ea4d:17fe:e09c:49120 fd00:976a:bc67:193e::7:25658 17",
    ),
    (
        "tunnels/zeek__tunnels__gtp__gtp1_gn_normal_incl_fragmentation.pcap",
        TunnelKind::GtpU,
        1,
        68,
        "10.131.47.185:1923 79.101.110.141:80 6",
    ),
    (
        "tunnels/zeek__tunnels__gtp__gtp2_different_udp_port.pcap",
        TunnelKind::GtpU,
        1,
        78,
        "10.131.17.170:51803 173.199.115.168:80 6",
    ),
    (
        "tunnels/zeek__tunnels__gtp__gtp4_udp_2152_inside.pcap",
        TunnelKind::GtpU,
        1,
        1,
        "10.131.138.69:2152 74.125.216.149:2152 17",
    ),
    (
        "tunnels/zeek__tunnels__gtp__gtp6_gtp_0x32.pcap",
        TunnelKind::GtpU,
        1,
        31,
        "10.222.10.10:44960 173.194.69.188:5228 6",
    ),
    (
        "tunnels/zeek__tunnels__gtp__gtp8_teredo.pcap",
        TunnelKind::Teredo,
        2,
        10,
        "2001:0:4137:9e76:201a:3f51:3afd:573e:0 2001:0:5ef5:79fd:3ca5:6ae6:2b37:be97:0 59",
    ),
    (
        "tunnels/zeek__tunnels__gtp__gtp9_unknown_or_too_short_payload.pcap",
        TunnelKind::GtpU,
        1,
        10,
        "10.131.119.38:55746 217.20.156.4:80 6",
    ),
    (
        "tunnels/suricata-verify__decode-teredo-01__input.pcap",
        TunnelKind::Teredo,
        1,
        4,
        "fe80::8000:ffff:ffff:fffd:133 ff02::2:134 58",
    ),
    ("tunnels/zeek__tunnels__ayiya-large-identity.pcap", TunnelKind::Ayiya, 1, 1, "fd00::1:40000 fd00::2:40001 17"),
];

#[test]
fn tunnels_are_recognised_with_their_inner_end_points() {
    let Some(dir) = captures_dir("tunnels") else { return };
    for (file, kind, depth, packets, first) in TUNNELS {
        let parsed = parse_file(&dir.join(file));
        let inner: Vec<_> =
            parsed.rows.iter().filter(|(_, t)| t.is_some_and(|t| t.kind == *kind && t.depth == *depth)).collect();
        assert_eq!(inner.len(), *packets, "{file}: {kind:?} at depth {depth}");
        assert_eq!(ends(&inner[0].0.key), *first, "{file}");
        assert!(inner.iter().all(|(row, _)| row.key.context != 0), "{file}");
    }
}

/// Files whose tunnels carry no IP packet (spanning tree, ARP, encrypted radio, control), and files that only look
/// like tunnels: no inner row may come out.
#[rustfmt::skip]
const NO_PACKET_INSIDE: &[(&str, &str)] = &[
    ("tunnels/ndpi__capwap.pcap", "CAPWAP is not followed"),
    ("tunnels/tcpdump__erspan-type-i-3.pcap", "mirrored ARP"),
    ("tunnels/tcpdump__erspan-type-ii-3.pcap", "mirrored spanning tree, NDP and ARP"),
    ("tunnels/tcpdump__erspan-type-iii-ft-7.pcap", "frame type 7 is none that carries Ethernet or IP"),
    ("tunnels/tcpdump__erspan-type-iii-pb-1.pcap", "nothing after the header"),
    ("tunnels/zeek__tunnels__geneve-arp.pcap", "ARP"),
    ("tunnels/zeek__tunnels__gre-aruba-ccmp.pcap", "encrypted 802.11"),
    ("tunnels/zeek__tunnels__gtp__gtp_create_pdp_ctx.pcap", "GTP-C"),
    ("tunnels/zeek__tunnels__mpls-6in6-6in6-4in6-invalid-version-4.pcap", "the inner header claims more than there is"),
    ("mobile-core/ndpi__gtp_c.pcap", "GTP-C"),
    ("mobile-core/ndpi__gtp_prime.pcapng", "GTP prime"),
    ("mobile-core/ndpi__gtp_false_positive.pcapng", "not GTP"),
    ("mobile-core/ndpi__radius_false_positive.pcapng", "not RADIUS"),
    ("tunnels/libtrace__test__traces__mpls.pcap", "labels are peeled off, not a tunnel"),
];

#[test]
fn what_carries_no_packet_or_only_looks_like_a_tunnel_gives_no_inner_row() {
    let Some(dir) = captures_dir("no packet inside") else { return };
    for (file, why) in NO_PACKET_INSIDE {
        let parsed = parse_file(&dir.join(file));
        assert!(!parsed.rows.is_empty(), "{file}: outer rows stay");
        assert!(parsed.rows.iter().all(|(_, tunnel)| tunnel.is_none()), "{file}: {why}");
    }
}

type ExportCase = (&'static str, ExportKind, usize, u32, Option<(&'static str, &'static str)>);

/// Flow exports: file, kind, datagrams, records, and one pair of end points that a record names.
const EXPORTS: &[ExportCase] = &[
    (
        "conformance/flow-export/pmacct__101-NFv9-CISCO-cust_primitives__traffic-00.pcap",
        ExportKind::NetflowV9,
        40,
        51,
        Some(("138.187.58.13", "138.187.57.33")),
    ),
    (
        "conformance/flow-export/pmacct__102-NFv9-CISCO-f2rd-pretag-sampling-reload__traffic-00.pcap",
        ExportKind::NetflowV9,
        25,
        35,
        Some(("213.3.216.138", "213.3.216.137")),
    ),
    (
        "conformance/flow-export/pmacct__110-IPFIXv10-NFv9-multiple-sources__traffic-00.pcap",
        ExportKind::Ipfix,
        6,
        12,
        Some(("10.231.65.56", "10.192.12.213")),
    ),
    (
        "conformance/flow-export/pmacct__111-IPFIXv10-NFv9-IPv6-IPv4-mix_sources__traffic-00.pcap",
        ExportKind::NetflowV9,
        11,
        11,
        Some(("138.187.58.13", "138.187.57.33")),
    ),
    (
        "conformance/flow-export/pmacct__111-IPFIXv10-NFv9-IPv6-IPv4-mix_sources__traffic-01.pcap",
        ExportKind::Ipfix,
        11,
        13,
        Some(("2001:4d98:a100:402:0:933:e:1", "2a02:a90:4007::11:1")),
    ),
    (
        "conformance/flow-export/pmacct__112-IPFIXv10-CISCO-options-map-reassignment__traffic-00.pcap",
        ExportKind::Ipfix,
        21,
        76,
        None,
    ),
    (
        "conformance/flow-export/pmacct__400-IPFIXv10-BMP-CISCO-SRv6-multiple-sources__traffic-00.pcap",
        ExportKind::Ipfix,
        583,
        995,
        Some(("2001:db8:28::1", "2001:db8:90::1")),
    ),
    (
        "conformance/flow-export/pmacct__400-IPFIXv10-BMP-CISCO-SRv6-multiple-sources__traffic-01.pcap",
        ExportKind::Ipfix,
        277,
        447,
        Some(("192.0.2.13", "192.0.2.14")),
    ),
    (
        "conformance/flow-export/pmacct__500-IPFIXv10-BGP-CISCO-SRv6__traffic-00.pcap",
        ExportKind::Ipfix,
        40,
        53,
        Some(("fe80::6445:954d:f2c1:b72b", "ff02::16")),
    ),
    ("flow-export/tcpdump__sflow-print-v6.pcap", ExportKind::Sflow, 25, 13, Some(("10.10.10.2", "50.1.1.2"))),
    (
        "flow-export/tcpdump__sflow_multiple_counter_30_pdus.pcap",
        ExportKind::NetflowV5,
        5,
        7,
        Some(("87.218.217.112", "168.87.242.174")),
    ),
    ("flow-export/tcpdump__sflow_multiple_counter_30_pdus.pcap", ExportKind::Sflow, 25, 0, None),
    (
        "robustness/suricata-verify__filestore-5408__input.pcap",
        ExportKind::Sflow,
        2,
        15,
        Some(("96.43.146.48", "172.16.133.68")),
    ),
];

#[test]
fn flow_exports_are_recognised_with_their_end_points() {
    let Some(dir) = captures_dir("exports") else { return };
    for (file, kind, datagrams, records, pair) in EXPORTS {
        let parsed = parse_file(&dir.join(file));
        let of_kind: Vec<_> = parsed.exports.iter().filter(|e| e.kind == *kind).collect();
        assert_eq!(of_kind.len(), *datagrams, "{file}");
        assert_eq!(of_kind.iter().map(|e| e.records).sum::<u32>(), *records, "{file}");
        if let Some((source, destination)) = pair {
            let wanted =
                [source, destination].map(|a| Address::from(a.parse::<std::net::IpAddr>().expect("an address")));
            assert!(of_kind.iter().any(|e| e.endpoints.contains(&(wanted[0], wanted[1]))), "{file}: {pair:?}");
        }
    }
}

/// Packets and IP bytes by (source, port, destination, port, protocol).
type Totals = BTreeMap<(Address, u16, Address, u16, u8), (u64, u64)>;

/// What each side of each 5-tuple sent; with checksums on, wrong ones left out as Zeek does unless told otherwise.
fn totals_of(capture: &Path, checksums: ChecksumCheck) -> Totals {
    let mut totals = Totals::new();
    let limits = ParserLimits { checksums, ..ParserLimits::default() };
    let parsed = parse(capture, limits, |_, _| {}).expect("a capture beside its log");
    for (row, _) in parsed.rows.iter().filter(|(row, _)| !row.checksum_wrong) {
        let (from, to) = (usize::from(row.from), 1 - usize::from(row.from));
        let (a, p) = (row.key.addresses, row.key.ports);
        let side = totals.entry((a[from], p[from], a[to], p[to], row.key.protocol)).or_default();
        *side = (side.0 + 1, side.1 + u64::from(row.ip_bytes));
    }
    totals
}

/// The same by Zeek's connection log.
fn zeek_totals(log: &Path) -> Totals {
    let mut totals = Totals::new();
    let text = std::fs::read_to_string(log).expect("the log is readable");
    for line in text.lines().filter(|l| !l.starts_with('#') && !l.starts_with("ts\t")) {
        let f: Vec<&str> = line.split('\t').collect();
        let address = |i: usize| Address::from(f[i].parse::<std::net::IpAddr>().expect("an address"));
        let number = |i: usize| f[i].parse::<u64>().unwrap_or(0);
        let (orig, orig_p, resp, resp_p) = (address(2), number(3) as u16, address(4), number(5) as u16);
        let protocol = number(21) as u8;
        let sides = [((orig, orig_p, resp, resp_p, protocol), 16), ((resp, resp_p, orig, orig_p, protocol), 18)];
        for (side, packets) in sides {
            let total = totals.entry(side).or_default();
            *total = (total.0 + number(packets), total.1 + number(packets + 1));
        }
    }
    totals
}

#[test]
fn tunnelled_connections_have_the_packets_and_bytes_that_zeek_counted() {
    let Some(dir) = captures_dir("zeek tunnels") else { return };
    let logs = all_files(&dir.join("tunnels")).into_iter().filter(|p| p.to_string_lossy().ends_with(".conn.log"));
    let mut sides = 0;
    for log in logs {
        let capture = log.with_extension("").with_extension("");
        let zeek = zeek_totals(&log);
        // The logs do not say whether Zeek was told to believe checksums; some captures hold wrong ones.
        let differences = [ChecksumCheck::Off, ChecksumCheck::On].map(|checksums| {
            let ours = totals_of(&capture, checksums);
            zeek.iter()
                .filter(|(side, theirs)| ours.get(*side).copied().unwrap_or_default() != **theirs)
                .map(|(side, theirs)| format!("{side:?}: ours {:?}, zeek {theirs:?}", ours.get(side)))
                .collect::<Vec<_>>()
        });
        assert!(differences.iter().any(Vec::is_empty), "{}: {differences:#?}", capture.display());
        sides += zeek.len();
    }
    assert!(sides >= 80, "{sides}");
}

//! Flow totals: what the generator wrote and what the flow stage counts are the same, flow by flow.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;

use etherparse::{NetSlice, SlicedPacket, TransportSlice};

use super::frames::{frames_of, words, write};

/// Addresses and ports in order, and whether it is TCP.
type Pair = ([(IpAddr, u16); 2], bool);

/// Packets and IP bytes of each pair of ends, read from the frames alone.
fn written(bytes: &[u8]) -> BTreeMap<Pair, [u64; 2]> {
    let mut totals = BTreeMap::new();
    for (_, frame) in frames_of(bytes) {
        let Ok(sliced) = SlicedPacket::from_ethernet(&frame) else { continue };
        let (from, to, length): (IpAddr, IpAddr, u64) = match &sliced.net {
            Some(NetSlice::Ipv4(ip)) => {
                let header = ip.header();
                (header.source_addr().into(), header.destination_addr().into(), u64::from(header.total_len()))
            }
            Some(NetSlice::Ipv6(ip)) => {
                let header = ip.header();
                (header.source_addr().into(), header.destination_addr().into(), 40 + u64::from(header.payload_length()))
            }
            _ => continue,
        };
        let (ports, is_tcp) = match &sliced.transport {
            Some(TransportSlice::Tcp(tcp)) => ([tcp.source_port(), tcp.destination_port()], true),
            Some(TransportSlice::Udp(udp)) => ([udp.source_port(), udp.destination_port()], false),
            _ => continue,
        };
        let mut ends = [(from, ports[0]), (to, ports[1])];
        ends.sort_unstable();
        let total: &mut [u64; 2] = totals.entry((ends, is_tcp)).or_default();
        total[0] += 1;
        total[1] += length;
    }
    totals
}

/// The rows of `trawlwatch flows`, each as a map from column to text. Only columns before the first free text are read.
pub fn rows(capture: &Path, more: &[&str]) -> Vec<BTreeMap<String, String>> {
    let mut run = assert_cmd::Command::cargo_bin("trawlwatch").expect("the program");
    let run = run.arg("flows").arg(capture).args(["--format", "csv", "--window", "0", "-q"]).args(more);
    let text = String::from_utf8_lossy(&run.output().expect("it runs").stdout).into_owned();
    let mut lines = text.lines();
    let names: Vec<&str> =
        lines.next().unwrap_or_default().split(',').take_while(|name| *name != "server_name").collect();
    let mut rows = Vec::new();
    for line in lines {
        let texts = line.split(',').map(str::to_owned);
        rows.push(names.iter().map(|name| (*name).to_owned()).zip(texts).collect());
    }
    rows
}

#[test]
fn the_flow_stage_counts_what_was_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.pcap");
    let report = write(words(40, 0.2, &["population-fan-in:period=120s"], &["video-call:lasts=3s", "ntp"]), &path);
    let written = written(&std::fs::read(&path).expect("the capture"));
    let key = folder.path().join("key").to_string_lossy().into_owned();
    std::fs::write(&key, "7e".repeat(32)).expect("a key");
    let mut counted: BTreeMap<Pair, [u64; 2]> = BTreeMap::new();
    for row in rows(&path, &["--reveal", &key]) {
        let is_tcp = match row["proto"].as_str() {
            "tcp" => true,
            "udp" => false,
            _ => continue,
        };
        let end = |side: &str| -> (IpAddr, u16) {
            (row[&format!("{side}_h")].parse().expect("an address"), row[&format!("{side}_p")].parse().expect("a port"))
        };
        let mut ends = [end("orig"), end("resp")];
        ends.sort_unstable();
        let number = |name: &str| -> u64 { row[name].parse().expect("a number") };
        let total = counted.entry((ends, is_tcp)).or_default();
        total[0] += number("orig_pkts") + number("resp_pkts");
        total[1] += number("orig_ip_bytes") + number("resp_ip_bytes");
    }
    assert!(written.len() > 500, "{}", written.len());
    let packets: u64 = written.values().map(|total| total[0]).sum();
    assert!(packets <= report.written.packets && packets * 100 > report.written.packets * 95, "{packets}");
    for (pair, wanted) in &written {
        assert_eq!(counted.get(pair), Some(wanted), "{pair:?}");
    }
    assert_eq!(written.len(), counted.len());
}

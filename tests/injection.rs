//! Injected segments: the recorded shots are seen at their exact frames, and nothing else is taken for one.
#![allow(clippy::print_stdout, reason = "a test's output is for people")]

use std::fs::File;
use std::path::Path;

use trawlwatch::flow::observation::{Observation, SegmentConflict};
use trawlwatch::flow::{FlowConfig, SegmentBounds};
use trawlwatch::packet::ParserLimits;

mod captured;

fn conflicts(path: &Path) -> Option<Vec<SegmentConflict>> {
    conflicts_within(path, SegmentBounds::default())
}

fn conflicts_within(path: &Path, segments: SegmentBounds) -> Option<Vec<SegmentConflict>> {
    let config = FlowConfig { segments, ..FlowConfig::default() };
    let (_, observations) = captured::run(path, ParserLimits::default(), config, |_| {})?;
    let conflicts = observations.into_iter().filter_map(|observation| match observation {
        Observation::SegmentConflict(conflict) => Some(*conflict),
        _ => None,
    });
    Some(conflicts.collect())
}

#[test]
fn a_mapped_capture_and_a_streamed_one_show_the_same_conflicts() {
    // Of a mapped file the payloads stay where they lie, of a stream they are copied: both are kept as long.
    let streamed = Path::new(env!("CARGO_MANIFEST_DIR")).join("captures/injection.pcap.zst");
    let folder = tempfile::tempdir().expect("a folder");
    let mapped = folder.path().join("injection.pcap");
    let packed = File::open(&streamed).expect("a shipped capture");
    zstd::stream::copy_decode(packed, File::create(&mapped).expect("a file")).expect("a whole stream");
    let tight = SegmentBounds { bytes_max: 1 << 16, records_max: 256, ..SegmentBounds::default() };
    let mut counts = Vec::new();
    for bounds in [SegmentBounds::default(), tight] {
        let [of_stream, of_map] = [&streamed, &mapped].map(|path| conflicts_within(path, bounds).expect("a capture"));
        assert_eq!(format!("{of_stream:?}"), format!("{of_map:?}"));
        counts.push(of_map.len());
    }
    assert!(counts[0] > 0 && counts[1] <= counts[0], "{counts:?}");
}

/// A recorded shot: of the forged segment and of the true one.
struct Shot {
    file: String,
    frames: [u64; 2],
    ttls: [u8; 2],
    payload_bytes: [u32; 2],
}

fn truth(folder: &Path) -> Vec<Shot> {
    let text = std::fs::read_to_string(folder.join("injection/TRUTH.tsv")).expect("the truth beside the captures");
    let shots = text.lines().skip(1).map(|line| {
        let fields: Vec<&str> = line.split('\t').collect();
        let number = |at: usize| fields[at].parse::<u64>().expect("a number");
        Shot {
            file: fields[0].to_owned(),
            frames: [number(1), number(2)],
            ttls: [number(4) as u8, number(5) as u8],
            payload_bytes: [number(8) as u32, number(9) as u32],
        }
    });
    shots.collect()
}

#[test]
fn every_recorded_shot_is_seen_at_its_frames() {
    let Some(folder) = captured::folder() else {
        println!("not run: no folder of captures");
        return;
    };
    let shots = truth(&folder);
    assert_eq!(shots.len(), 4);
    for Shot { file, frames, ttls, payload_bytes } in shots {
        let found = conflicts(&folder.join("injection").join(&file)).expect("a capture");
        let [shot] = found.as_slice() else { panic!("{file}: {found:?}") };
        assert!(shot.is_injection_like(), "{file}: {shot:?}");
        assert_eq!(shot.versions.map(|version| version.frame), frames, "{file}");
        assert_eq!(shot.versions.map(|version| version.ttl), ttls, "{file}");
        assert_eq!(shot.versions.map(|version| version.payload_bytes), payload_bytes, "{file}");
        assert_eq!(shot.ttl_difference, ttls[0].abs_diff(ttls[1]), "{file}");
        assert_eq!(shot.sender_ttl_usual, Some(ttls[1]), "{file}: the handshake came the true way");
        assert_eq!((shot.stream_offset, shot.sender_port), (Some(0), 80), "{file}");
    }
}

/// Captures in which payloads do conflict and which are no injections: how many conflicts are told, and what they are.
const TRUE_CONFLICTS: [(&str, usize, &str); 16] = [
    ("pmacct__200-BMP-HUAWEI-locrib_instance__traffic-00.pcap", 1, MADE),
    ("pmacct__202-BMP-CISCO-HUAWEI-multiple-sources__traffic-00.pcap", 1, MADE),
    ("pmacct__202-BMP-CISCO-HUAWEI-multiple-sources__traffic-01.pcap", 1, MADE),
    ("pmacct__202-BMP-CISCO-HUAWEI-multiple-sources__traffic-02.pcap", 1, MADE),
    ("pmacct__205-BMP-6wind-FRR-peer_down__traffic-00.pcap", 1, MADE),
    ("pmacct__400-IPFIXv10-BMP-CISCO-SRv6-multiple-sources__traffic-00.pcap", 1, MADE),
    ("pmacct__400-IPFIXv10-BMP-CISCO-SRv6-multiple-sources__traffic-01.pcap", 1, MADE),
    ("pmacct__500-IPFIXv10-BGP-CISCO-SRv6__traffic-00.pcap", 1, MADE),
    ("ndpi__reasm_crash_anon.pcapng", 6, "one byte of 13 counts the copies of a repeated segment"),
    ("zeek__modbus__fuzz-72.pcap", 1, "fuzzed: four bytes"),
    ("zeek__tcp__reassembly.pcap", 4, "a trace of broken reassembly: other bytes seconds later, from the same TTL"),
    ("suricata-verify__eve-payload-03-tcp-exact-overlap-ips__tcp-overlap.pcap", 1, "made to test overlaps: four bytes"),
    ("suricata-verify__eve-payload-04-partial-overlap__tcp-overlap2.pcap", 1, "made to test overlaps: three bytes"),
    ("tcpdump__bgp-shutdown-msg-variations.pcap", 3, "three messages under one sequence number, two bytes apart"),
    ("tcpdump__kday3.pcap", 1, FUZZED),
    ("tcpdump__kday4.pcap", 3, FUZZED),
];
const MADE: &str = "written by a script: payload in the SYN, the next segment one byte short; one byte";
const FUZZED: &str = "fuzzed: one frame several times with bytes changed, met midway, from one TTL";

#[test]
fn nothing_else_is_taken_for_an_injection() {
    let Some(folder) = captured::folder() else {
        println!("not run: no folder of captures");
        return;
    };
    let shots = truth(&folder);
    let (mut captures, mut false_shots, mut unexplained) = (0, Vec::new(), Vec::new());
    for path in captured::files_under(&folder) {
        let name = path.file_name().expect("a file").to_string_lossy().into_owned();
        if shots.iter().any(|shot| shot.file == name) {
            continue;
        }
        let Some(found) = conflicts(&path) else { continue };
        captures += 1;
        false_shots.extend(found.iter().filter(|c| c.is_injection_like()).map(|c| format!("{name}: {c:?}")));
        let explained = TRUE_CONFLICTS.iter().find(|(file, ..)| *file == name).map_or(0, |(_, count, _)| *count);
        if found.len() != explained {
            unexplained.push(format!("{name}: {} told, {explained} explained: {found:?}", found.len()));
        }
    }
    println!("{captures} captures, {} taken for injections", false_shots.len());
    assert!(false_shots.is_empty(), "{}", false_shots.join("\n"));
    assert!(unexplained.is_empty(), "{}", unexplained.join("\n"));
}

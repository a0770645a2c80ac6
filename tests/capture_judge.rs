//! libpcap judges the savefile readers: what both read must be equal, frame by frame, in count, time, lengths and bytes.
//! In: every file under `TRAWLWATCH_CAPTURES` or `../shared/captures`; without the folder the test passes and says so.
#![allow(clippy::print_stdout, reason = "a test's output is for people")]

use std::path::{Path, PathBuf};

use trawlwatch::capture::{Captures, FaultKind, Filter, Frame, InputPath, OpenError};

/// Where we mean to differ from libpcap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Difference {
    /// libpcap hands on no more bytes than the file's snap length, even where the record holds more: ours begin alike.
    BeyondSnapLength,
    /// A captured length above the wire length is passed on by libpcap; ours is lifted to the captured one.
    WireBelowCaptured,
    /// A fraction of a second or more is passed on by libpcap; ours is the second's last nanosecond.
    Fraction,
    /// libpcap reads no file whose interfaces differ in link type or snap length.
    InterfacesDiffer,
}
use Difference::{BeyondSnapLength, Fraction, InterfacesDiffer, WireBelowCaptured};

/// Every file on which the two readers differ, by the end of its path.
const EXPLAINED: &[(&str, &[Difference])] = &[
    ("zeek__ldap__modify-request.pcapng", &[InterfacesDiffer]),
    ("libtrace__test__traces__complex.pcapng", &[InterfacesDiffer]),
    ("zeek__krb__smb2_krb.pcap", &[BeyondSnapLength]),
    ("tcpdump__802_15_4-oobr-1.pcap", &[BeyondSnapLength]),
    ("tcpdump__802_15_4_beacon.pcap", &[BeyondSnapLength]),
    ("tcpdump__aoe-oobr-1.pcap", &[BeyondSnapLength, WireBelowCaptured]),
    ("tcpdump__bgp-bgp_capabilities_print-oobr-1.pcap", &[BeyondSnapLength]),
    ("tcpdump__bgp_mp_reach_nlri-oobr.pcap", &[BeyondSnapLength]),
    ("tcpdump__dccp_options-oobr.pcap", &[BeyondSnapLength]),
    ("tcpdump__icmp-icmp_print-oobr-1.pcap", &[BeyondSnapLength]),
    ("tcpdump__icmp-icmp_print-oobr-2.pcap", &[BeyondSnapLength, WireBelowCaptured]),
    ("tcpdump__icmp6_nodeinfo_oobr.pcap", &[BeyondSnapLength]),
    ("tcpdump__lmp-lmp_print_data_link_subobjs-oobr.pcap", &[BeyondSnapLength]),
    ("tcpdump__mobility_opt_asan.pcap", &[BeyondSnapLength]),
    ("tcpdump__mobility_opt_asan_2.pcap", &[BeyondSnapLength]),
    ("tcpdump__mobility_opt_asan_4.pcap", &[BeyondSnapLength]),
    ("tcpdump__ospf6_print_lshdr-oobr.pcap", &[BeyondSnapLength]),
    ("tcpdump__pim_header_asan-2.pcap", &[WireBelowCaptured]),
    ("tcpdump__q933-heapoverflow-2.pcap", &[BeyondSnapLength]),
    ("tcpdump__rsvp-rsvp_obj_print-oobr.pcap", &[WireBelowCaptured]),
    ("tcpdump__rx_serviceid_oobr.pcap", &[Fraction]),
    ("tcpdump__slip-sliplink_print-oobr.pcap", &[BeyondSnapLength, WireBelowCaptured]),
    ("tcpdump__smb_print_trans-oobr1.pcap", &[BeyondSnapLength]),
    ("tcpdump__smb_print_trans-oobr2.pcap", &[BeyondSnapLength]),
    ("tcpdump__timestamp_invalid_nano.pcap", &[Fraction]),
    ("tcpdump__vrrp-vrrp_print-oobr-2.pcap", &[BeyondSnapLength]),
    ("tcpdump__vrrp-vrrp_print-oobr.pcap", &[BeyondSnapLength]),
];

fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("TRAWLWATCH_CAPTURES")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/captures"), PathBuf::from);
    folder.is_dir().then_some(folder)
}

fn files_under(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        match path.is_dir() {
            true => files_under(&path, files),
            false => files.push(path),
        }
    }
    files.sort();
}

fn captures() -> Vec<PathBuf> {
    let mut files = Vec::new();
    match folder() {
        Some(folder) => files_under(&folder, &mut files),
        None => println!("not run: no captures at ../shared/captures or TRAWLWATCH_CAPTURES"),
    }
    files
}

#[test]
fn frames_equal_those_of_libpcap() {
    let (mut compared, mut frames, mut wrong) = (0, 0, 0);
    for file in captures() {
        let name = file.to_string_lossy();
        let explained = EXPLAINED.iter().find(|(end, _)| name.ends_with(end)).map_or(&[][..], |(_, why)| why);
        match compare(&file) {
            Ok(None) => {}
            Ok(Some((count, differences))) => {
                (compared, frames) = (compared + 1, frames + count);
                if differences != explained {
                    wrong += 1;
                    println!("{name}: differs in {differences:?}, explained is {explained:?}");
                }
            }
            Err(difference) => {
                wrong += 1;
                println!("{name}: {difference}");
            }
        }
    }
    println!("{compared} files, {frames} frames, {wrong} wrong");
    assert_eq!(wrong, 0);
}

/// Frames compared and the kinds of difference met; none for a file that neither reads.
fn compare(file: &Path) -> Result<Option<(u64, Vec<Difference>)>, String> {
    let ours = Captures::open(&[InputPath::File(file.to_owned())]);
    let theirs = pcap::Capture::from_file_with_precision(file, pcap::Precision::Nano);
    let (mut ours, mut theirs) = match (ours, theirs) {
        (Ok(ours), Ok(theirs)) => (ours, theirs),
        (Err(OpenError::NotACapture { .. }), Err(_)) => return Ok(None),
        (ours, theirs) => return Err(format!("opened: ours {:?}, theirs {:?}", ours.err(), theirs.err())),
    };
    let link = theirs.get_datalink();
    let mut differences = Vec::new();
    let mut count = 0;
    loop {
        match (ours.next_frame(), theirs.next_packet()) {
            (Some(our), Ok(their)) => {
                count += 1;
                if Filter::dead_link(our.link) != link {
                    return Err(format!("frame {count}: link type {:?}, theirs {link:?}", our.link));
                }
                differences.extend(compare_frame(&our, &their).map_err(|what| format!("frame {count}: {what}"))?);
            }
            (None, Err(pcap::Error::NoMorePackets)) => break,
            (None, Err(pcap::Error::PcapError(words))) if words.starts_with("truncated dump file") => {
                let faults = ours.reports()[0].faults;
                if faults.of(FaultKind::HeaderCut) + faults.of(FaultKind::RecordCut) == 0 {
                    return Err("cut, and we do not say so".to_owned());
                }
                break;
            }
            (Some(_), Err(pcap::Error::PcapError(words))) if words.contains("of the first interface") => {
                differences.push(InterfacesDiffer);
                break;
            }
            (our, their) => {
                let our = our.map(|frame| frame.number);
                return Err(format!("after {count}: ours {our:?}, theirs {:?}", their.err()));
            }
        }
    }
    differences.sort_unstable();
    differences.dedup();
    Ok(Some((count, differences)))
}

fn compare_frame(our: &Frame<'_>, their: &pcap::Packet<'_>) -> Result<Vec<Difference>, String> {
    let mut differences = Vec::new();
    // libpcap reads the 32 bits of a pcap file's seconds as signed.
    let seconds = match their.header.ts.tv_sec {
        seconds @ i64::MIN..=-1 => seconds.wrapping_add(1 << 32),
        seconds => seconds,
    };
    let fraction = their.header.ts.tv_usec;
    let ts = match (0..1_000_000_000).contains(&fraction) {
        true => seconds * 1_000_000_000 + fraction,
        false => {
            differences.push(Fraction);
            let clamped = our.ts.0 % 1_000_000_000 / 1_000 == 999_999;
            if clamped { seconds * 1_000_000_000 + (our.ts.0 % 1_000_000_000) as i64 } else { -1 }
        }
    };
    if our.ts.0 != ts as u64 {
        return Err(format!("time {}, theirs {ts}", our.ts.0));
    }
    if !our.bytes.starts_with(their.data) {
        return Err("other bytes".to_owned());
    }
    if our.bytes.len() > their.data.len() {
        differences.push(BeyondSnapLength);
    }
    if our.wire_bytes > their.header.len {
        differences.push(WireBelowCaptured);
    }
    let lifted = their.header.len.max(our.bytes.len() as u32);
    if our.wire_bytes != lifted {
        return Err(format!("{} bytes on the wire, theirs {}", our.wire_bytes, their.header.len));
    }
    Ok(differences)
}

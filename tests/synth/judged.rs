//! A second opinion: tshark finds nothing wrong that the world did not put there.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use trawlwatch::synth::WORLDS;

use super::frames::{everything, write};

/// What tshark may say of honest traffic, and why.
const HONEST: &[(&str, &str)] = &[
    ("Secrets are not available", "QUIC is sealed"),
    ("Connection reset", "some people leave so"),
    ("retransmission", "lines lose segments, resolvers are asked twice"),
    ("out-of-order segment", "packets overtake"),
    ("Duplicate ACK", "what follows a loss"),
    ("Previous segment(s) not captured", "lost before the capture point, or lived before the capture"),
    ("ACKed segment that wasn't captured", "the same"),
    ("reused stream offset", "tshark's guess at sealed QUIC"),
    ("Keep-Alive", "sizes of one byte"),
    ("completely full", "small stacks have small windows"),
    ("Trailing stray characters", "a tunnel's text records hold bytes, not text"),
];

/// Complaints of tshark about a capture, but for the honest ones, with how often each was made.
fn complaints(capture: &Path) -> Option<BTreeMap<String, usize>> {
    let wrong = "_ws.expert.severity >= 0x600000 || _ws.malformed || tcp.checksum.status == 0 || udp.checksum.status == 0 \
        || ip.checksum.status == 0";
    let mut tshark = Command::new("tshark");
    tshark.arg("-r").arg(capture).args(["-Y", wrong, "-T", "fields"]);
    for option in ["ip.check_checksum", "tcp.check_checksum", "udp.check_checksum", "tcp.reassemble_out_of_order"] {
        tshark.args(["-o", &format!("{option}:TRUE")]);
    }
    for field in ["_ws.expert.message", "_ws.malformed", "tcp.checksum.status", "udp.checksum.status"] {
        tshark.args(["-e", field]);
    }
    let run = tshark.output().ok()?;
    assert!(run.status.success(), "tshark: {}", String::from_utf8_lossy(&run.stderr));
    let mut complaints = BTreeMap::new();
    for line in String::from_utf8_lossy(&run.stdout).lines() {
        let messages = line.split('\t').next().unwrap_or_default();
        let is_honest = |message: &str| HONEST.iter().any(|(text, _)| message.contains(text));
        let bad = messages.split(",This").flat_map(|m| m.split(",New")).any(|m| !m.is_empty() && !is_honest(m));
        let malformed = line.split('\t').nth(1).unwrap_or_default();
        let torn = !malformed.is_empty() && !malformed.contains("(retransmission?)");
        let wrong_sum = line.split('\t').skip(2).any(|field| field.split(',').any(|status| status == "0"));
        if bad || torn || wrong_sum || messages.is_empty() {
            *complaints.entry(line.to_owned()).or_insert(0) += 1;
        }
    }
    Some(complaints)
}

#[test]
fn tshark_finds_nothing_that_was_not_put_there() {
    let folder = tempfile::tempdir().expect("a folder");
    // The other worlds go through the same code.
    for world in WORLDS.iter().filter(|world| ["town", "enterprise", "mobile"].contains(&world.name)) {
        let mut words = everything();
        (words.world, words.subscribers, words.hours) = (world.name.to_owned(), 24, 0.05);
        // Copies of packets are there to look wrong.
        words.operations.retain(|operation| !operation.starts_with("packet-injection"));
        words.negatives.retain(|negative| !negative.starts_with("duplicated-packets"));
        let path = folder.path().join(format!("{}.pcap", world.name));
        write(words, &path);
        let Some(complaints) = complaints(&path) else {
            #[allow(clippy::print_stdout, reason = "a test's output is for people")]
            {
                println!("not run: tshark is not installed; `make tshark` installs it");
            }
            return;
        };
        assert!(complaints.is_empty(), "{}: {complaints:#?}", world.name);
    }
}

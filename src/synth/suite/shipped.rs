//! What lies in `captures/`, byte for byte: five captures composed by hand, and one for each technique that they leave out.
//! Seeds 7 to 99: no other suite may use them.

use super::{Bed, Part, operations, owned, with_operation};
use crate::synth::scenario::ScenarioWords;

struct Composed {
    name: &'static str,
    about: &'static str,
    subscribers: u32,
    hours: f64,
    start: &'static str,
    activity: f64,
    volume: f64,
    operations: &'static [&'static str],
    negatives: &'static [&'static str],
    seed: u64,
}

/// The first seed of a technique's own capture.
const OWN_FROM: u64 = 12;
/// Hours of such a capture.
const OWN_HOURS: f64 = 0.68;

/// The composed ones.
const COMPOSED: &[Composed] = &[
    Composed {
        name: "demo.pcap.zst",
        about: "an evening in a town: population-fan-in and traffic-mirroring (ERSPAN) among registered telemetry, \
            analytics, backups and video calls",
        subscribers: 240,
        hours: 0.75,
        start: "2026-03-02T19:00:00Z",
        activity: 0.035,
        volume: 0.002,
        operations: &["population-fan-in:subscribers=0.2,period=300s", "traffic-mirroring:subscribers=0.04"],
        negatives: &[
            "telemetry:subscribers=0.3,period=900s",
            "analytics:subscribers=0.15",
            "backup:subscribers=0.03,bytes=256KiB",
            "video-call:subscribers=0.015,lasts=6s",
        ],
        seed: 7,
    },
    Composed {
        name: "injection.pcap.zst",
        about: "a man on the side answers HTTP requests of some homes before the servers do; lossy lines and a span \
            port that shows packets twice beside it",
        subscribers: 100,
        hours: 0.5,
        start: "2026-03-03T17:30:00Z",
        activity: 0.06,
        volume: 0.003,
        operations: &["packet-injection:subscribers=0.25,visits=6,shots=0.4"],
        negatives: &["retransmissions:subscribers=0.3", "duplicated-packets:subscribers=0.15"],
        seed: 8,
    },
    Composed {
        name: "mirroring.pcap.zst",
        about: "a router sends copies of some homes' packets to a stranger over GRE, and NetFlow records of others to \
            another; an overlay between two racks inside beside it",
        subscribers: 100,
        hours: 0.5,
        start: "2026-03-04T20:00:00Z",
        activity: 0.06,
        volume: 0.003,
        operations: &["traffic-mirroring:wrap=gre,subscribers=0.1", "traffic-mirroring:wrap=netflow,subscribers=0.3"],
        negatives: &["vxlan-overlay", "duplicated-packets:subscribers=0.04"],
        seed: 9,
    },
    Composed {
        name: "exfiltration.pcap.zst",
        about: "one host sends 32 MiB out in a burst, another 24 MiB low and slow; backups, video calls and updates beside them",
        subscribers: 100,
        hours: 1.0,
        start: "2026-03-05T01:00:00Z",
        activity: 0.035,
        volume: 0.003,
        operations: &["bulk-exfiltration:bytes=32MiB", "bulk-exfiltration:bytes=24MiB,mode=slow,every=120s"],
        negatives: &[
            "backup:subscribers=0.06,bytes=384KiB",
            "video-call:subscribers=0.03,lasts=8s",
            "updates:subscribers=0.1,bytes=256KiB",
        ],
        seed: 10,
    },
    Composed {
        name: "benign.pcap.zst",
        about: "no operation, and every kind of hard negative",
        subscribers: 120,
        hours: 0.5,
        start: "2026-03-06T18:00:00Z",
        activity: 0.05,
        volume: 0.003,
        operations: &[],
        negatives: &[
            "telemetry:subscribers=0.3,period=600s",
            "analytics:subscribers=0.25",
            "backup:subscribers=0.04,bytes=192KiB",
            "video-call:subscribers=0.03,lasts=5s",
            "ntp:subscribers=0.6",
            "updates:subscribers=0.08,bytes=192KiB",
            "cdn:subscribers=0.2,visits=4",
            "push-keepalive:subscribers=0.5",
            "ddos:rate=250,lasts=12s",
            "scan:knocks=400",
            "retransmissions:subscribers=0.1",
            "duplicated-packets:subscribers=0.05",
            "vxlan-overlay:calls=60",
        ],
        seed: 11,
    },
];

pub(super) fn parts() -> Vec<Part> {
    let mut parts: Vec<Part> = COMPOSED.iter().map(Composed::part).collect();
    let shown = |kind: &str| {
        COMPOSED.iter().any(|part| part.operations.iter().any(|operation| operation.split(':').next() == Some(kind)))
    };
    for (i, program) in operations().filter(|program| !shown(program.kind)).enumerate() {
        let mut part = with_operation(program, None, OWN_FROM + i as u64, OWN_HOURS, "");
        part.name = format!("{}.pcap.zst", program.kind);
        part.words.subscribers = part.words.subscribers.min(2 * Bed::THIN.subscribers);
        parts.push(part);
    }
    parts
}

impl Composed {
    fn part(&self) -> Part {
        let words = ScenarioWords {
            world: "town".to_owned(),
            subscribers: self.subscribers,
            hours: self.hours,
            start: self.start.to_owned(),
            activity: self.activity,
            volume: self.volume,
            operations: owned(self.operations),
            negatives: owned(self.negatives),
            faults: Vec::new(),
            seed: self.seed,
        };
        Part { name: self.name.to_owned(), about: self.about.to_owned(), words }
    }
}

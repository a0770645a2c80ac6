//! Suites: scenarios that are written together.
//! In: a suite's name, a folder. Out: its captures in that folder. `shipped` is what lies in `captures/`, byte for byte.

use std::path::Path;

use super::scenario::{Overwrite, Scenario, ScenarioError, ScenarioWords, SynthError, SynthReport};

/// One capture of a suite.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// Its name, without the folder.
    pub name: &'static str,
    /// What it shows.
    pub about: &'static str,
    subscribers: u32,
    hours: f64,
    start: &'static str,
    activity: f64,
    volume: f64,
    operations: &'static [&'static str],
    negatives: &'static [&'static str],
    seed: u64,
}

/// What lies in `captures/`. Seeds 7 to 11: no other suite may use them for training.
pub const SHIPPED: &[Part] = &[
    Part {
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
    Part {
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
    Part {
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
    Part {
        name: "exfiltration.pcap.zst",
        about: "one host sends 32 MiB out in a burst, another 24 MiB low and slow; backups, video calls and updates beside them",
        subscribers: 100,
        hours: 1.0,
        start: "2026-03-05T01:00:00Z",
        activity: 0.06,
        volume: 0.003,
        operations: &["bulk-exfiltration:bytes=32MiB", "bulk-exfiltration:bytes=24MiB,mode=slow,every=120s"],
        negatives: &[
            "backup:subscribers=0.06,bytes=384KiB",
            "video-call:subscribers=0.03,lasts=8s",
            "updates:subscribers=0.1,bytes=256KiB",
        ],
        seed: 10,
    },
    Part {
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

/// The suites that there are.
pub const SUITES: &[(&str, &[Part])] = &[("shipped", SHIPPED)];

impl Part {
    /// The part as a scenario.
    pub fn scenario(&self) -> Result<Scenario, ScenarioError> {
        Scenario::try_from(self.words())
    }

    fn words(&self) -> ScenarioWords {
        let owned = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        ScenarioWords {
            world: "town".to_owned(),
            subscribers: self.subscribers,
            hours: self.hours,
            start: self.start.to_owned(),
            activity: self.activity,
            volume: self.volume,
            operations: owned(self.operations),
            negatives: owned(self.negatives),
            seed: self.seed,
        }
    }

    /// The command that writes it alone.
    pub fn command(&self) -> String {
        let mut text = format!(
            "trawlwatch synth --world town --subscribers {} --hours {} --start {} --activity {} --volume {} --seed {}",
            self.subscribers, self.hours, self.start, self.activity, self.volume, self.seed
        );
        for operation in self.operations {
            text += &format!(" --operation {operation}");
        }
        for negative in self.negatives {
            text += &format!(" --negative {negative}");
        }
        text + &format!(" --output {}", self.name)
    }

    /// Writes it into a folder.
    pub fn write(&self, folder: &Path, overwrite: Overwrite) -> Result<SynthReport, SuiteError> {
        Ok(self.scenario()?.write(&folder.join(self.name), overwrite)?)
    }
}

/// Why a suite could not be written.
#[derive(Debug, thiserror::Error)]
pub enum SuiteError {
    /// A part makes no sense.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// A file could not be written.
    #[error(transparent)]
    Write(#[from] SynthError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_every_suite_makes_sense() {
        for (suite, parts) in SUITES {
            for part in *parts {
                part.scenario().unwrap_or_else(|e| panic!("{suite}/{}: {e}", part.name));
            }
        }
    }
}

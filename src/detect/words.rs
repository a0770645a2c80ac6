//! Words: the small turns of phrase that every detector's findings share.
//! In: numbers and addresses. Out: text and evidence. Not here: what a finding means.

use super::finding::{Evidence, EvidenceValue};
use crate::population::conflict::network_of;
use crate::units::{Address, TimestampNs};

/// An address, with the first of its names where there is one.
pub fn party(address: Address, names: &[String]) -> String {
    match names.first() {
        Some(name) => format!("{name} ({address})"),
        None => address.to_string(),
    }
}

/// `1 subscriber`, `2 subscribers`.
pub fn counted(n: u64, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

/// The /24 or /48 of an address in CIDR form.
pub fn prefix(address: Address) -> String {
    format!("{}/{}", network_of(address), if address.is_v4() { 24 } else { 48 })
}

/// Days from `start` to `end`, at least one: what limits per day are held against.
pub fn days(start: TimestampNs, end: TimestampNs) -> f64 {
    (end.since(start).as_secs_f64() / 86_400.0).max(1.0)
}

/// Bytes as people read them, in powers of 1024.
pub fn bytes(n: u64) -> String {
    let mut value = n as f64;
    for unit in ["bytes", "KiB", "MiB", "GiB"] {
        if value < 1024.0 {
            let digits = if unit == "bytes" || value >= 100.0 { 0 } else { 1 };
            return format!("{value:.digits$} {unit}");
        }
        value /= 1024.0;
    }
    format!("{value:.1} TiB")
}

/// A length of time as people read it.
pub fn seconds(value: f64) -> String {
    match value {
        s if s < 1.0 => format!("{:.0} ms", s * 1e3),
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7_200.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3_600.0),
    }
}

/// Evidence that has no baseline.
pub fn evidence(feature: &'static str, value: EvidenceValue, unit: &'static str, weight: f64) -> Evidence {
    Evidence { feature, value, unit, baseline_median: None, baseline_p99: None, weight }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_read_these() {
        for (n, wanted) in
            [(0, "0 bytes"), (999, "999 bytes"), (2048, "2.0 KiB"), (5 << 30, "5.0 GiB"), (3 << 40, "3.0 TiB")]
        {
            assert_eq!(bytes(n), wanted);
        }
        for (s, wanted) in [(0.2, "200 ms"), (60.0, "60 s"), (600.0, "10 min"), (14_400.0, "4.0 h")] {
            assert_eq!(seconds(s), wanted);
        }
        assert_eq!(prefix(Address::v4([203, 0, 113, 7])), "203.0.113.0/24");
    }
}

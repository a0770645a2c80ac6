//! Realism: sizes, lives, packets and gaps of a town's flows beside those of real captures of devices and offices.
//! The real ones are small networks of 2013 to 2019, seen from inside. So like is held against like, by service: TLS against
//! TLS, HTTP against HTTP, DNS against DNS. The distance is Wasserstein's first over decimal logarithms, in decades: 0.3 means
//! that quantiles differ by a factor of two on average; the largest gap of the distributions (Kolmogorov and Smirnov) is printed.
//! What must differ: HTTP in the real ones is mostly talk of neighbours, a millisecond apart, where a town's servers are far
//! away; hellos of today are twice as long as those of 2016.
#![allow(clippy::print_stdout, reason = "a test's output is for people")]

use std::collections::BTreeMap;

use super::frames::{words, write};
use super::totals::rows;

#[path = "../captured/mod.rs"]
#[allow(dead_code, reason = "shared with tests that read more of it")]
mod captured;

/// Quantiles compared.
const QUANTILES: usize = 200;
/// Flows of a service on each side that can be compared.
const FLOWS_MIN: usize = 60;
const QUANTITIES: [&str; 6] =
    ["bytes up", "bytes down", "seconds", "packets", "bytes a packet down", "seconds a packet up"];

/// A service: name, protocol, port, and the largest distance in decades of each quantity.
const SERVICES: &[(&str, &str, &str, [f64; 6])] = &[
    ("TLS", "tcp", "443", [0.45, 0.30, 0.90, 0.20, 0.20, 0.90]),
    ("HTTP", "tcp", "80", [0.50, 0.30, 1.10, 0.20, 0.20, 1.05]),
    ("DNS", "udp", "53", [0.20, 0.30, 0.50, 0.15, 0.25, 0.50]),
];

/// Values of each quantity by service, over the flows that carried something both ways, and the share of each service port.
#[derive(Default)]
struct Figures {
    values: BTreeMap<&'static str, [Vec<f64>; 6]>,
    ports: BTreeMap<String, usize>,
}

impl Figures {
    fn add(&mut self, rows: &[BTreeMap<String, String>]) {
        for row in rows {
            *self.ports.entry(format!("{} {}", row["proto"], row["resp_p"])).or_insert(0) += 1;
            let service = SERVICES.iter().find(|(_, proto, port, _)| row["proto"] == *proto && row["resp_p"] == *port);
            let number = |name: &str| row[name].parse::<f64>().unwrap_or(0.0);
            let (up, down) = (number("orig_payload_bytes"), number("resp_payload_bytes"));
            let Some((service, ..)) = service.filter(|_| up > 0.0 && down > 0.0) else { continue };
            let [sent, got] = [number("orig_pkts"), number("resp_pkts")];
            let lasts = number("duration").max(1e-3);
            let all =
                [up, down, lasts, sent + got, number("resp_ip_bytes") / got.max(1.0), lasts / (sent - 1.0).max(1.0)];
            let values = self.values.entry(service).or_default();
            values.iter_mut().zip(all).for_each(|(values, value)| values.push(value.log10()));
        }
    }

    fn sorted(&self, service: &str, quantity: usize) -> Vec<f64> {
        let mut values = self.values.get(service).map_or_else(Vec::new, |values| values[quantity].clone());
        values.sort_by(f64::total_cmp);
        values
    }

    fn favourite_ports(&self) -> String {
        let total = self.ports.values().sum::<usize>().max(1);
        let mut ports: Vec<_> = self.ports.iter().map(|(port, count)| (*count, port)).collect();
        ports.sort_by(|a, b| b.cmp(a));
        let share = |(count, port): &(usize, &String)| format!("{port} {:.0} %", *count as f64 * 100.0 / total as f64);
        ports.iter().take(10).map(share).collect::<Vec<_>>().join(", ")
    }
}

/// A quantile of sorted values.
fn at(values: &[f64], share: f64) -> f64 {
    values[((values.len() as f64 * share) as usize).min(values.len() - 1)]
}

/// Wasserstein's first distance.
fn distance(a: &[f64], b: &[f64]) -> f64 {
    let share = |i: usize| (i as f64 + 0.5) / QUANTILES as f64;
    (0..QUANTILES).map(|i| (at(a, share(i)) - at(b, share(i))).abs()).sum::<f64>() / QUANTILES as f64
}

/// Largest gap of the two distributions.
fn largest_gap(a: &[f64], b: &[f64]) -> f64 {
    let below = |values: &[f64], x: f64| values.partition_point(|value| *value <= x) as f64 / values.len() as f64;
    a.iter().chain(b).map(|x| (below(a, *x) - below(b, *x)).abs()).fold(0.0, f64::max)
}

#[test]
fn distances_of_known_lists() {
    let (a, b) = ([0.0, 1.0, 2.0, 3.0], [1.0, 2.0, 3.0, 4.0]);
    assert_eq!((distance(&a, &a), largest_gap(&a, &a)), (0.0, 0.0));
    assert_eq!((distance(&a, &b), largest_gap(&a, &b)), (1.0, 0.25));
}

#[test]
fn a_town_is_of_one_order_with_real_networks() {
    let Some(folder) = captured::folder() else {
        println!("not run: no folder of real captures");
        return;
    };
    let (mut real, mut town) = (Figures::default(), Figures::default());
    let files = captured::files_under(&folder.join("benign"));
    // Examples of a book show one protocol each, not a network.
    for file in files.iter().filter(|file| !file.to_string_lossy().contains("chrissanders")) {
        real.add(&rows(file, &[]));
    }
    let scratch = tempfile::tempdir().expect("a folder");
    let path = scratch.path().join("town.pcap");
    let mut words = words(40, 0.5, &[], &[]);
    (words.activity, words.volume) = (0.6, 0.02);
    write(words, &path);
    town.add(&rows(&path, &[]));
    let mut far = Vec::new();
    for (service, _, _, bounds) in SERVICES {
        for (i, name) in QUANTITIES.iter().enumerate() {
            let (ours, theirs) = (town.sorted(service, i), real.sorted(service, i));
            assert!(ours.len().min(theirs.len()) >= FLOWS_MIN, "{service}: {} and {} flows", ours.len(), theirs.len());
            let apart = distance(&ours, &theirs);
            let say = |values: &[f64]| {
                [0.1, 0.25, 0.5, 0.75, 0.9].map(|share| format!("{:>9.3}", 10f64.powf(at(values, share)))).join(" ")
            };
            println!("{service:<5} {name:<20} town {}", say(&ours));
            println!("{:<26} real {}  {apart:.2} decades, gap {:.2}", "", say(&theirs), largest_gap(&ours, &theirs));
            if apart > bounds[i] {
                far.push(format!("{service} {name}: {apart:.2} over {}", bounds[i]));
            }
        }
    }
    println!("ports, town: {}\nports, real: {}", town.favourite_ports(), real.favourite_ports());
    assert!(far.is_empty(), "decades apart: {far:?}");
}

//! Realism: sizes, lives, packets and gaps of a town's flows beside those of real captures of devices and offices.
//! The real ones are small networks of 2013 to 2019, seen from inside: mostly HTTP, with the talk of neighbours that no access
//! network shows. A town speaks TLS, which adds a kilobyte up and four down to the smallest flow. So the two are not to be
//! equal, but of one order.
#![allow(clippy::print_stdout, reason = "a test's output is for people")]

use std::collections::BTreeMap;

use super::frames::{words, write};
use super::totals::rows;

#[path = "../captured/mod.rs"]
#[allow(dead_code, reason = "shared with tests that read more of it")]
mod captured;

/// Largest mean distance of the deciles of two distributions, in powers of ten.
const DECADES_APART_MAX: f64 = 1.0;
const DECILES: [f64; 9] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9];
const QUANTITIES: [&str; 6] =
    ["bytes up", "bytes down", "seconds", "packets", "bytes a packet down", "seconds a packet up"];

/// Values of each quantity over the TCP flows that carried something, and the share of each service port.
#[derive(Default)]
struct Figures {
    values: [Vec<f64>; 6],
    ports: BTreeMap<String, usize>,
}

impl Figures {
    fn add(&mut self, rows: &[BTreeMap<String, String>]) {
        for row in rows {
            *self.ports.entry(format!("{} {}", row["proto"], row["resp_p"])).or_insert(0) += 1;
            let number = |name: &str| row[name].parse::<f64>().unwrap_or(0.0);
            let (up, down) = (number("orig_payload_bytes"), number("resp_payload_bytes"));
            if row["proto"] != "tcp" || up == 0.0 || down == 0.0 {
                continue;
            }
            let [sent, got] = [number("orig_pkts"), number("resp_pkts")];
            let lasts = number("duration").max(1e-3);
            let all =
                [up, down, lasts, sent + got, number("resp_ip_bytes") / got.max(1.0), lasts / (sent - 1.0).max(1.0)];
            self.values.iter_mut().zip(all).for_each(|(values, value)| values.push(value));
        }
    }

    fn deciles(&self, quantity: usize) -> [f64; 9] {
        let mut values = self.values[quantity].clone();
        values.sort_by(f64::total_cmp);
        DECILES.map(|share| values[((values.len() as f64 * share) as usize).min(values.len() - 1)])
    }

    fn favourite_ports(&self) -> String {
        let total = self.ports.values().sum::<usize>().max(1);
        let mut ports: Vec<_> = self.ports.iter().map(|(port, count)| (*count, port)).collect();
        ports.sort_by(|a, b| b.cmp(a));
        let share = |(count, port): &(usize, &String)| format!("{port} {:.0} %", *count as f64 * 100.0 / total as f64);
        ports.iter().take(10).map(share).collect::<Vec<_>>().join(", ")
    }
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
    let networks = files.iter().filter(|file| !file.to_string_lossy().contains("chrissanders"));
    for file in networks.take(40) {
        real.add(&rows(file, &[]));
    }
    let scratch = tempfile::tempdir().expect("a folder");
    let path = scratch.path().join("town.pcap");
    let mut words = words(40, 0.5, &[], &[]);
    (words.activity, words.volume) = (0.6, 0.02);
    write(words, &path);
    town.add(&rows(&path, &[]));
    assert!(real.values[0].len() > 300 && town.values[0].len() > 500, "too few flows to compare");
    let mut far = Vec::new();
    for (i, name) in QUANTITIES.iter().enumerate() {
        let (ours, theirs) = (town.deciles(i), real.deciles(i));
        let apart = ours.iter().zip(&theirs).map(|(a, b)| (a.log10() - b.log10()).abs()).sum::<f64>() / 9.0;
        let say = |deciles: [f64; 9]| deciles.map(|value| format!("{value:>9.3}")).join(" ");
        println!("{name:<20} town {}\n{:<20} real {}\n{:<20} {apart:.2} decades apart", say(ours), "", say(theirs), "");
        if apart > DECADES_APART_MAX {
            far.push(format!("{name}: {apart:.2}"));
        }
    }
    println!("ports, town: {}\nports, real: {}", town.favourite_ports(), real.favourite_ports());
    assert!(far.is_empty(), "decades apart: {far:?}");
}

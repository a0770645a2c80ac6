//! Long memory: a synthetic day of window summaries, kept as bytes as a store keeps them.

use super::*;
use crate::detect::finding::{CollectorIdentity, Severity, Technique};
use crate::detect::memory::Memory;
use crate::detect::register::{NoRegister, Register};
use crate::flow::observation::Observation;
use crate::flow::row::{FlowColumns, FlowRow};
use crate::population::summary::tests::{TurnedOver, looked_up, populations, row};
use crate::population::{AddContext, Span};
use crate::units::Address;

/// A midnight, and the length of a window: half an hour keeps the test quick.
const MIDNIGHT_S: u64 = 1_000_080_000;
const WINDOW_S: u64 = 1800;
/// Pairs of the flood in a window.
const FLOOD: u32 = 150;

fn at(second: u64) -> TimestampNs {
    TimestampNs(DurationNs::from_secs(MIDNIGHT_S + second).0)
}

/// A row that begins at this second of the day.
fn row_at(orig: Address, resp: Address, second: u64, up: u64, down: u64) -> FlowRow {
    let mut row = row(orig, resp, 0, up, down);
    (row.ts_first, row.ts_last) = (at(second), at(second + 5));
    row
}

/// One window's summary, in its stored form.
fn stored(number: u64, rows: &[FlowRow], limits: &SummaryLimits) -> Vec<u8> {
    stored_with(number, rows, &[], limits)
}

fn stored_with(number: u64, rows: &[FlowRow], seen: &[Observation], limits: &SummaryLimits) -> Vec<u8> {
    let (populations, mut identity) = (populations(), TurnedOver(1));
    let mut cx = AddContext { populations: &populations, identity: &mut identity, limits };
    let mut summary = Summary::new(Span::new(at(number * WINDOW_S), at((number + 1) * WINDOW_S)));
    let mut columns = FlowColumns::default();
    rows.iter().for_each(|row| columns.push(row.clone()));
    summary.add_rows(&columns, &[], &mut cx);
    summary.add_observations(seen, &mut cx);
    summary.bound(limits);
    summary.to_bytes()
}

/// Thirty homes that browse; one host that sends 360 KiB every half hour; and a flood of pairs that are new each time.
fn window(number: u64, limits: &SummaryLimits) -> Vec<u8> {
    let start = number * WINDOW_S;
    let mut rows: Vec<FlowRow> = (0..30u8)
        .map(|home| {
            let far = Address::v4([198, 51, home, (number % 7) as u8]);
            row_at(Address::v4([10, 0, 1, home]), far, start + u64::from(home), 3_000, 40_000)
        })
        .collect();
    rows.push(row_at(Address::v4([10, 0, 0, 66]), Address::v4([203, 0, 113, 7]), start + 30, 360 << 10, 900));
    rows.extend((0..FLOOD).map(|n| {
        let [_, b, c, d] = (number as u32 * FLOOD + n).to_be_bytes();
        let scanned = Address::v4([45, b, c, d]);
        row_at(Address::v4([10, 0, 2, 1]), scanned, start + u64::from(n % 500), 30_000, 30_000)
    }));
    stored(number, &rows, limits)
}

fn analysed(windows: &[Vec<u8>], limits: &SummaryLimits) -> (Vec<Finding>, Account) {
    analysed_on(NonZeroUsize::MIN, windows, limits)
}

fn analysed_on(threads: NonZeroUsize, windows: &[Vec<u8>], limits: &SummaryLimits) -> (Vec<Finding>, Account) {
    analysed_under(&NoRegister, threads, windows, limits)
}

fn analysed_under(
    register: &dyn Register,
    threads: NonZeroUsize,
    windows: &[Vec<u8>],
    limits: &SummaryLimits,
) -> (Vec<Finding>, Account) {
    let (populations, places) = (populations(), Places::default());
    let knowledge = Knowledge { populations: &populations, places: &places, model: None, register, limits, threads };
    let mut analyst = Analyst::new(knowledge);
    for bytes in windows {
        analyst.window(read(bytes)).expect("one basis");
    }
    analyst.finish().expect("one basis")
}

fn read(bytes: &[u8]) -> Summary {
    Summary::from_bytes(bytes).unwrap_or_else(|e| panic!("{e}"))
}

/// The same by runs of one window each, that take up what the one before them knew.
fn analysed_in_runs(windows: &[Vec<u8>], limits: &SummaryLimits) -> Vec<Finding> {
    let (populations, places, register, threads) = (populations(), Places::default(), &NoRegister, NonZeroUsize::MIN);
    let knowledge = Knowledge { populations: &populations, places: &places, model: None, register, limits, threads };
    let begun = |memory: &Memory| {
        let mut analyst = Analyst::new(knowledge);
        analyst.recall(memory, 0, 0).expect("its own");
        analyst
    };
    let last = windows.iter().fold(Memory::default(), |memory, bytes| {
        let mut analyst = begun(&memory);
        analyst.window(read(bytes)).expect("one basis");
        analyst.memory()
    });
    begun(&last).finish().expect("one basis").0
}

fn exfiltration(findings: &[Finding]) -> Option<&Finding> {
    let far = Address::v4([203, 0, 113, 7]);
    findings.iter().find(|f| f.technique == Technique::BulkExfiltration && f.collector.addresses == [far])
}

#[test]
fn what_is_slow_is_found_on_the_day_and_not_lost_in_a_flood() {
    // Tables far too small for the flood: 7,200 new pairs a day.
    let limits = SummaryLimits { pairs_max: 220, collectors_max: 220, ..SummaryLimits::default() };
    let windows: Vec<Vec<u8>> = (0..48).map(|number| window(number, &limits)).collect();
    let (hour, _) = analysed(&windows[..2], &limits);
    assert!(exfiltration(&hour).is_none(), "720 KiB in an hour are no bulk");
    let (day, account) = analysed(&windows, &limits);
    let found = exfiltration(&day).unwrap_or_else(|| panic!("{day:#?}"));
    assert!(found.severity >= Severity::Medium, "{:?}", found.severity);
    assert!(found.end.since(found.start) > DurationNs::from_secs(14 * 3600), "the day is behind it");
    assert!(account.limits.contains_key("pairs"), "the flood is said: {:?}", account.limits);
    // The same windows again, from the store: the same findings.
    assert_eq!(hour, analysed(&windows[..2], &limits).0);
}

#[test]
fn a_day_stays_within_its_bounds() {
    let limits = SummaryLimits { pairs_max: 150, collectors_max: 100, subscribers_max: 25, ..SummaryLimits::default() };
    let (populations, places) = (populations(), Places::default());
    let knowledge = Knowledge {
        populations: &populations,
        places: &places,
        model: None,
        register: &NoRegister,
        limits: &limits,
        threads: NonZeroUsize::MIN,
    };
    let mut analyst = Analyst::new(knowledge);
    for number in 0..12 {
        let summary = Summary::from_bytes(&window(number, &limits)).unwrap_or_else(|e| panic!("{e}"));
        analyst.window(summary).expect("one basis");
        for (_, _, so_far) in analyst.horizons() {
            assert!(so_far.pairs.len() <= limits.pairs_max && so_far.collectors.len() <= limits.collectors_max);
            assert!(so_far.subscribers.len() <= limits.subscribers_max);
        }
    }
}

/// Homes that browse so widely that a round is worth threads; half an hour later one host sends its store to two strangers, and
/// ten homes each send the same few bytes to a third one.
fn busy_window(number: u64, limits: &SummaryLimits) -> Vec<u8> {
    let start = number * WINDOW_S;
    let far = |n: u16| Address::v4([198, 51, (n >> 8) as u8, n as u8]);
    let browsing = (0..60u8).flat_map(|home| (0..50u16).map(move |site| (home, site)));
    let mut rows: Vec<FlowRow> = browsing
        .map(|(home, site)| {
            let second = start + u64::from(home) * 20 + u64::from(site);
            row_at(Address::v4([10, 0, 1, home]), far(site), second, 3_000, 40_000 + 100 * u64::from(site))
        })
        .collect();
    if number > 0 {
        let store = Address::v4([10, 0, 2, 9]);
        rows.extend([7, 8].map(|last| row_at(store, Address::v4([203, 0, 113, last]), start + 60, 60 << 20, 90_000)));
        let told = (0..300u64).map(|n| {
            let home = Address::v4([10, 0, 1, (n % 10) as u8]);
            row_at(home, Address::v4([203, 0, 113, 99]), start + n / 10 * 60, 600, 90)
        });
        rows.extend(told);
    }
    stored(number, &rows, limits)
}

#[test]
fn what_is_found_does_not_depend_on_threads() {
    let limits = SummaryLimits::default();
    let windows: Vec<Vec<u8>> = (0..3).map(|number| busy_window(number, &limits)).collect();
    for bytes in &windows {
        let pairs = Summary::from_bytes(bytes).unwrap_or_else(|e| panic!("{e}")).pairs.len();
        assert!(pairs >= round::PAIRS_MIN, "{pairs} pairs are looked at on one thread whatever may be taken");
    }
    let (alone, account) = analysed(&windows, &limits);
    let techniques: std::collections::BTreeSet<Technique> = alone.iter().map(|finding| finding.technique).collect();
    assert!(techniques.len() > 1, "several detectors speak: {techniques:?}");
    for threads in [2, 5, 64].into_iter().filter_map(NonZeroUsize::new) {
        let (found, counted) = analysed_on(threads, &windows, &limits);
        assert_eq!(found, alone, "{threads} threads");
        assert_eq!(format!("{counted:?}"), format!("{account:?}"), "{threads} threads");
    }
}

#[test]
fn the_detector_that_looks_at_what_others_found_comes_last() {
    let last = crate::detect::DETECTORS.last().map(|detector| detector.technique);
    assert_eq!(last, Some(Technique::UnattributedCluster), "one behind it would hide its findings from it");
}

#[test]
fn who_is_called_through_a_translator_is_told_by_both_addresses() {
    use crate::detect::finding::{CollectorIdentity, PopulationShare};
    use crate::population::summary::tests::summary_of;
    let (native, other) = (Address::v4([203, 0, 113, 7]), Address::v4([203, 0, 113, 9]));
    let through = native.translated().expect("an IPv4 address");
    let home = |n: u8| Address::v6([0x20, 0x01, 0x0d, 0xb8, 0, 0x20, 0, n, 0, 0, 0, 0, 0, 0, 0, 1]);
    let rows = [row(home(1), through, 0, 900, 300), row(Address::v4([10, 0, 0, 1]), native, 1, 900, 300)];
    let summary = summary_of(&rows, &SummaryLimits::default());
    let (populations, places) = (populations(), Places::default());
    let scene = Scene::new(&summary, &populations, &places, None);
    // Both are one party.
    let one: Vec<_> = scene.collectors().iter().map(|(key, one)| (key.address, one.subscribers.count())).collect();
    assert_eq!(one, [(native, 2)]);
    let told = |address: Address| {
        let collector = CollectorIdentity { addresses: vec![address], ..CollectorIdentity::default() };
        let share = PopulationShare::default();
        let mut found = [Finding::blank(Technique::PopulationFanIn, collector, share, Default::default())];
        add_translated(&scene, &mut found);
        found[0].collector.addresses.clone()
    };
    assert_eq!(told(native), [native, through]);
    assert_eq!(told(other), [other]);
}

/// Allows everybody everything of one population.
#[derive(Debug)]
struct Allowed(&'static str);

impl Register for Allowed {
    fn allows(&self, _: Technique, _: &CollectorIdentity, population: &str, _: TimestampNs) -> bool {
        population == self.0
    }

    fn is_empty(&self) -> bool {
        false
    }
}

#[test]
fn what_no_population_shows_alone_is_found_in_all_together() {
    use crate::population::populations::EVERYBODY;
    let limits = SummaryLimits::default();
    let far = Address::v4([203, 0, 113, 9]);
    // Some devices of each population that report to one party every four minutes, among many that browse.
    let window = |number: u64, residents: u8, ministry: u8| {
        let start = number * WINDOW_S;
        let browse = |n: u64| {
            let home = Address::v4([10, (n % 2) as u8 * 9, 7, (n % 150) as u8]);
            let site = Address::v4([198, 51, (n % 20) as u8, 7]);
            row_at(home, site, start + n * 997 % WINDOW_S, 900 + n * 31 % 3_000, 20_000 + n * 77 % 90_000)
        };
        let call = |device: u64, home: Address| {
            let times = (17 * device..4 * WINDOW_S).step_by(240).filter(move |at| at / WINDOW_S == number);
            times.map(move |at| row_at(home, far, at, 1_200 + at % 40, 150))
        };
        let called = (0..residents).map(|n| [10, 0, 3, n]).chain((0..ministry).map(|n| [10, 9, 3, n]));
        let calls = called.zip(1..).flat_map(|(home, device)| call(device, Address::v4(home)));
        stored(number, &(0..900).map(browse).chain(calls).collect::<Vec<_>>(), &limits)
    };
    let (nobody, one): (&dyn Register, &dyn Register) = (&NoRegister, &Allowed("ministry"));
    let table = [
        ("spread", (7, 7), nobody, vec![EVERYBODY]),
        ("spread, and allowed in one", (7, 7), one, vec![]),
        ("in one", (14, 0), nobody, vec!["residents"]),
        ("nowhere", (0, 0), nobody, vec![]),
    ];
    for (name, (residents, ministry), register, wanted) in table {
        let windows: Vec<Vec<u8>> = (0..4).map(|number| window(number, residents, ministry)).collect();
        let (findings, _) = analysed_under(register, NonZeroUsize::MIN, &windows, &limits);
        let strong = findings.iter().filter(|one| one.severity >= Severity::Medium && one.collector.addresses == [far]);
        let told: Vec<&str> = strong.map(|one| one.population.name.as_str()).collect();
        assert_eq!(told, wanted, "{name}");
    }
}

#[test]
fn a_name_outlasts_midnight() {
    let limits = SummaryLimits::default();
    let far = Address::v4([203, 0, 113, 9]);
    let home = |n: u8| Address::v4([10, 0, 3, n]);
    // Looked up in the last half hour of a day, reported to after it alone.
    let lookup = looked_up(home(1), "sink.example", far, at(47 * WINDOW_S + 60));
    let evening = stored_with(47, &[], &[lookup], &limits);
    let night = (48..52).map(|number| {
        let calls = (1..15).flat_map(|n| {
            let times = (17 * u64::from(n)..52 * WINDOW_S).step_by(240).filter(move |at| at / WINDOW_S == number);
            times.map(move |at| row_at(home(n), far, at, 1_200 + at % 40, 150))
        });
        stored(number, &calls.collect::<Vec<_>>(), &limits)
    });
    let night: Vec<Vec<u8>> = night.collect();
    for (name, windows, wanted) in [
        ("looked up", [&[evening][..], &night].concat(), &["sink.example".to_owned()][..]),
        ("never", night.clone(), &[]),
    ] {
        for findings in [analysed(&windows, &limits).0, analysed_in_runs(&windows, &limits)] {
            let found = findings.iter().find(|one| one.collector.addresses == [far]);
            let found = found.unwrap_or_else(|| panic!("{name}: {findings:#?}"));
            assert_eq!(found.collector.names, wanted, "{name}");
        }
    }
}

//! Shadows, and what only comes along, as slots.

use super::lines::line_of;
use super::*;
use crate::population::sketch::Timeline;
use crate::population::span::Seen;
use crate::units::TimestampNs;

/// A party that is fed, in the clear.
const PARTY: Party = Party { upload_share: 0.8, handshake: 0.0, errors: ERRORS };

/// One subscriber from its slots, an upload in each in which something was given.
fn of_slots(slots: Vec<Slot>) -> Line {
    let mut gathered = 0.0;
    let mut uploads = Vec::new();
    for slot in &slots {
        gathered += slot.others;
        if slot.given > 0.0 {
            uploads.push(Upload { recent: slot.recent, since: std::mem::take(&mut gathered), size: slot.given });
        }
    }
    Line { slots, uploads }
}

/// Draws that spread over 0 to 1 without order.
fn draw(i: usize) -> f64 {
    let x = (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((x ^ (x >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 11) as f64 / (1u64 << 53) as f64
}

#[test]
fn equal_values_share_their_rank() {
    assert_eq!(ranks(vec![3.0, 1.0, 3.0, 2.0, 3.0]), [3.0, 0.0, 3.0, 1.0, 3.0]);
}

#[test]
fn a_part_of_what_was_gathered_is_in_proportion_to_that() {
    // An upload after one to six slots in each of which something moves, a hundredth of all of it.
    let line = |who: usize| {
        let (mut gathered, mut left) = (0.0, 1);
        let slot = |at: usize| {
            let others = 4e3 * (2.0 * draw(64 * who + at)).exp();
            gathered += others;
            left -= 1;
            let given = if left == 0 { 0.01 * std::mem::take(&mut gathered) } else { 0.0 };
            if left == 0 {
                left = 1 + (6.0 * draw(7 * who + 3 * at)) as usize;
            }
            Slot { others, recent: others, given }
        };
        of_slots((0..56).map(slot).collect())
    };
    let lines: Vec<_> = (0..6).map(line).collect();
    let [of_late, gathered] = MOVED.map(|moved| proportion(&told_of(&lines), moved, PARTY));
    assert!(gathered > 0.9 && of_late < 0.6, "{of_late} {gathered}");
    let measures = Measures::of_lines(&lines, PARTY, 64).expect("enough to compare");
    assert_eq!(measures.in_proportion, gathered);
}

#[test]
fn few_uploads_of_each_of_many_show_their_proportion() {
    // Two dozen subscribers who are busy twice in an hour: a part of what moved, or an advert's size.
    let line = |who: usize, given: &dyn Fn(f64, f64) -> f64| {
        let mut slots = vec![Slot::default(); 56];
        for turn in 0..2 {
            let at = 3 + 25 * turn + (20.0 * draw(7 * who + turn)) as usize;
            let others = 4e3 * (4.0 * draw(11 * who + turn)).exp();
            slots[at] = Slot { others, recent: others, ..Slot::default() };
            slots[at + 1] = Slot { recent: others, given: given(others, draw(13 * who + turn)), ..slots[at + 1] };
        }
        of_slots(slots)
    };
    let part = |others: f64, u: f64| 400.0 + others * 0.03 * (0.7 + 0.6 * u);
    let advert = |_: f64, u: f64| 500.0 + 900.0 * u;
    for (name, given, wanted) in [("a part", &part as &dyn Fn(f64, f64) -> f64, true), ("an advert", &advert, false)] {
        let lines: Vec<_> = (0..24).map(|who| line(who, given)).collect();
        let measures = Measures::of_lines(&lines, PARTY, 64).expect("enough to compare");
        let (score, _) = weigh(measures.reasons(12));
        assert_eq!(score >= 0.6 && measures.chance <= 0.1, wanted, "{name}: {score} {measures:?}");
    }
}

#[test]
fn what_was_told_of_half_a_minute_ago_is_not_told_again() {
    // A page every 40 seconds or so of a visit, and 25 seconds after each one a thirtieth of it to the collector.
    let line = |who: usize, level: u8| {
        let (mut own, mut given) = (Timeline::<256>::default(), Timeline::<256>::default());
        let mut second = 0;
        for n in 0..12 {
            let page = 1e4 * (4.0 * draw(31 * who + n)).exp();
            let to_collector = page * (0.03 + 0.01 * draw(17 * who + 5 * n));
            let at = |second: u64| TimestampNs((1_000_000_000 + second) * 1_000_000_000);
            own.add(at(second), 1, [0, page as u64]);
            own.add(at(second + 25), 1, [to_collector as u64, 0]);
            given.add(at(second + 25), 1, [to_collector as u64, 0]);
            second += if n % 4 == 3 { 600 } else { 32 + (20.0 * draw(11 * who + 3 * n)) as u64 };
        }
        line_of(&own, &given, level)
    };
    let measured = |level: u8| {
        let lines: Vec<_> = (0..5).filter_map(|who| line(who, level)).collect();
        Measures::of_lines(&lines, PARTY, 1 << level).expect("enough to compare")
    };
    for level in SLOT_LEVELS {
        let found = measured(level);
        assert!(found.in_proportion > 0.9 && found.growth > 0.9, "slots of {} s: {found:?}", 1 << level);
    }
}

/// A campus' uploads, of which half told of what moved over IPv6.
const CAMPUS: Measures = Measures {
    follows: 0.73,
    in_proportion: 0.07,
    growth: 0.59,
    scatter: 0.6,
    presence: 0.59,
    volume_share: 0.056,
    upload_share: 1.0,
    uploads_each: 4.0,
    compared: 12,
    chance: 0.025,
    slot_s: 64,
};

#[test]
fn half_a_minute_is_no_doubt_of_what_gathers_for_four() {
    let gathers = Measures { follows: 0.17, in_proportion: -0.38, slot_s: 32, ..CAMPUS };
    let quick = Measures { follows: 0.8, slot_s: 32, ..CAMPUS };
    let long = Measures { in_proportion: -0.2, slot_s: 256, ..CAMPUS };
    let table: [(&str, &[Measures], Option<u64>); 4] = [
        ("nothing to be seen in half a minute, and nothing else known", &[gathers], None),
        ("nothing to be seen in either", &[gathers, long], Some(256)),
        ("seen in half a minute", &[quick, long], Some(32)),
        ("seen in a minute only", &[gathers, CAMPUS, long], Some(64)),
    ];
    for (name, at_levels, wanted) in table {
        let best = Measures::that_shows_best(at_levels.iter().copied());
        assert_eq!(best.map(|one| one.slot_s), wanted, "{name}");
    }
}

#[test]
fn a_little_proportion_will_do_where_everything_else_speaks() {
    let measures = CAMPUS;
    let is_likely = |one: Measures| one.is_likely(weigh(one.reasons(12)).0);
    assert!(is_likely(measures));
    let table = [
        ("hardly any", Measures { in_proportion: 0.03, ..measures }),
        ("it follows less", Measures { follows: 0.35, ..measures }),
        ("it speaks as often to the idle", Measures { presence: 0.12, ..measures }),
        ("sizes are alike", Measures { growth: 0.08, volume_share: 0.01, ..measures }),
        (
            "sizes grow little, as those of a counter of pages",
            Measures { growth: 0.24, in_proportion: 0.3, volume_share: 0.01, ..measures },
        ),
        ("they grow faster than what had moved", Measures { growth: 1.69, in_proportion: 0.42, ..measures }),
        ("it is of all sizes", Measures { scatter: 1.2, ..measures }),
        ("it comes once a visit", Measures { uploads_each: 1.2, volume_share: 0.01, ..measures }),
        ("half of it comes back", Measures { upload_share: 0.55, ..measures }),
    ];
    for (name, one) in table {
        assert!(!is_likely(one), "{name}: {}", weigh(one.reasons(12)).0);
    }
}

#[test]
fn who_answers_must_get_more_and_of_more() {
    let one = |upload_share: f64, volume_share: f64| Measures { upload_share, volume_share, ..CAMPUS };
    let table = [
        ("fed by five, and nothing comes back", one(0.99, 0.01), 5, false),
        ("a counter of pages that five have met", one(0.65, 0.04), 5, true),
        ("a resolver that thirty ask", one(0.8, 0.012), 30, true),
        ("a shadow of thirty that pads its answers", one(0.67, 0.033), 30, false),
    ];
    for (name, measures, subscribers, wanted) in table {
        assert_eq!(measures.is_called_along(subscribers), wanted, "{name}");
    }
}

/// Six subscribers with an hour of slots, idle four times in ten; `given` from what moved with others and a draw.
fn lines(given: impl Fn(f64, f64) -> f64) -> Vec<Line> {
    let slot = |i: usize| {
        let others = if draw(3 * i) < 0.4 { 0.0 } else { 1e4 * (4.0 * draw(3 * i + 1)).exp() };
        Slot { others, recent: others, given: given(others, draw(3 * i + 2)) }
    };
    (0..6).map(|who| of_slots((0..60).map(|at| slot(who * 60 + at)).collect())).collect()
}

#[test]
fn shadows_are_told_from_what_only_comes_along() {
    type Given = fn(f64, f64) -> f64;
    let table: [(&str, Given, bool); 6] = [
        ("a fiftieth of all that moves", |others, u| others * 0.02 * (0.7 + 0.6 * u), true),
        ("the same, one slot in four left out", |others, u| if u < 0.25 { 0.0 } else { others * 0.02 }, true),
        ("an advert with each page", |others, u| if others > 0.0 { 500.0 + 900.0 * u } else { 0.0 }, false),
        ("a report by the clock", |_, u| 1_800.0 + 200.0 * u, false),
        ("photographs, whenever", |_, u| if u < 0.1 { 2e6 * u } else { 0.0 }, false),
        ("nothing", |_, _| 0.0, false),
    ];
    for (name, given, wanted) in table {
        let measures = Measures::of_lines(&lines(given), Party { upload_share: 0.95, ..PARTY }, 64);
        let score = measures.map_or(0.0, |measures| weigh(measures.reasons(6)).0);
        let is_shadow = score >= 0.6 && measures.is_some_and(|measures| measures.chance <= 0.1);
        assert_eq!(is_shadow, wanted, "{name}: {score} {measures:?}");
    }
}

#[test]
fn what_only_ends_a_flow_is_no_upload() {
    let at = |second: u64| TimestampNs((1_000_000_000 + second) * 1_000_000_000);
    let (mut own, mut given) = (Timeline::<64>::default(), Timeline::<64>::default());
    own.add(at(0), 1, [0, 50_000]);
    for (second, flows, up) in [(20, 1, 900), (55, 0, 24), (90, 0, 700)] {
        own.add(at(second), flows, [up, 0]);
        given.add(at(second), flows, [up, 0]);
    }
    let line = line_of(&own, &given, SLOT_LEVELS[0]).expect("fine enough");
    let found: Vec<_> = line.uploads.iter().map(|upload| (upload.since, upload.size)).collect();
    assert_eq!(found, [(50_000.0, 900.0), (0.0, 700.0)]);
}

#[test]
fn who_uploads_while_nothing_is_seen_to_move_is_not_compared() {
    let upload = |since: f64| Upload { recent: since, since, size: 500.0 };
    let most = [9e3, 7e3, 8e3, 5e3, 0.0].map(upload);
    let seen = Line { uploads: most.to_vec(), ..Line::default() };
    let elsewhere = Line { uploads: vec![upload(9e3), upload(0.0), upload(300.0)], ..Line::default() };
    let lines = [seen, elsewhere];
    assert_eq!(told_of(&lines).iter().map(Vec::len).collect::<Vec<_>>(), [4, 0]);
}

#[test]
fn much_that_follows_needs_no_slope_and_little_that_follows_few_visits_is_luck() {
    let sure = Measures {
        follows: 0.6,
        in_proportion: 0.2,
        growth: 0.5,
        scatter: 0.6,
        presence: 0.6,
        volume_share: 0.04,
        upload_share: 0.99,
        compared: 16,
        uploads_each: 3.0,
        chance: 0.025,
        slot_s: 64,
    };
    let much = Measures { growth: 0.06, volume_share: 0.3, ..sure };
    let told = Measures { in_proportion: 0.4, volume_share: 0.1, ..sure };
    let luck = Measures { compared: 6, uploads_each: 2.0, presence: 0.29, follows: 0.45, ..sure };
    let table = [
        ("a part of what moves", sure, true),
        ("a quarter of all, of devices behind one address", much, true),
        ("a counter of pages", Measures { growth: 0.2, volume_share: 0.01, ..sure }, false),
        ("more than counters get, of devices half of whose traffic is seen", Measures { growth: 0.2, ..sure }, true),
        ("a quarter of all, which goes nowhere else", Measures { presence: 0.3, ..much }, true),
        ("the same, to who answers", Measures { presence: 0.3, upload_share: 0.9, ..much }, false),
        ("a quarter of all, whoever is active", Measures { presence: 0.25, ..much }, false),
        ("a quarter of all, however much moves", Measures { growth: 0.0, ..much }, false),
        ("much that scatters, beside devices that are not followed", Measures { scatter: 1.15, ..much }, true),
        ("a tenth of all, of several programs", Measures { scatter: 1.5, presence: 0.3, ..told }, true),
        ("the same, over a quarter of an hour", Measures { scatter: 1.5, slot_s: 1024, ..told }, false),
        ("the same, that answers", Measures { scatter: 1.5, upload_share: 0.9, ..told }, false),
        ("the same, now and then", Measures { scatter: 1.5, presence: 0.25, ..told }, false),
        ("the same, at random", Measures { scatter: 1.7, ..told }, false),
        ("one upload of each of a dozen", Measures { compared: 12, uploads_each: 1.0, ..sure }, false),
        ("twelve uploads after few visits", luck, false),
        (
            "twelve that are the same part of what had moved",
            Measures { in_proportion: 0.9, growth: 1.0, volume_share: 0.06, ..luck },
            true,
        ),
        (
            "the same, to a party that answers",
            Measures { in_proportion: 0.9, growth: 1.0, volume_share: 0.06, upload_share: 0.8, ..luck },
            false,
        ),
        (
            "eighteen in proportion beyond doubt, whenever",
            Measures { in_proportion: 0.75, presence: 0.16, follows: 0.35, compared: 15, uploads_each: 1.25, ..sure },
            true,
        ),
        (
            "the same, a little in proportion",
            Measures { presence: 0.1, compared: 15, uploads_each: 1.25, ..sure },
            false,
        ),
        ("twelve that come with nearly every visit", Measures { presence: 0.7, ..luck }, true),
        ("twelve that are a tenth of all and bring nothing back", Measures { volume_share: 0.1, ..luck }, true),
        ("one of each of them", Measures { volume_share: 0.1, uploads_each: 1.0, ..luck }, false),
    ];
    for (name, measures, wanted) in table {
        let (score, _) = weigh(measures.reasons(20));
        assert_eq!(measures.is_likely(score), wanted, "{name}: {score}");
    }
}

#[test]
fn a_resolver_is_known_by_what_is_asked_over_tls_at_each_of_its_addresses() {
    use crate::packet::facts::{AppFacts, AppProtocol};
    use crate::population::limits::SummaryLimits;
    use crate::population::places::Places;
    use crate::population::summary::tests::{populations, row, summary_of};
    let address = |last: u8| Address::v4([203, 0, 113, last]);
    // Of ten rows to each of two addresses so many go to the port of DNS over TLS, the rest to that of HTTPS.
    for (name, over_tls, wanted) in [("both", [3, 4], true), ("one of them", [3, 0], false), ("hardly", [1, 1], false)]
    {
        let rows = (0..2u8).flat_map(|party| (0..10u8).map(move |n| (party, n))).map(|(party, n)| {
            let mut one = row(Address::v4([10, 0, 0, n]), address(party), n.into(), 900, 300);
            if n < over_tls[usize::from(party)] {
                one.key.ports = one.key.ports.map(|port| if port == 443 { DNS_OVER_TLS } else { port });
            }
            let facts = AppFacts { protocol: Some(AppProtocol::Tls), ..AppFacts::default() };
            one.facts = Some(std::sync::Arc::new(facts));
            one
        });
        let summary = summary_of(&rows.collect::<Vec<_>>(), &SummaryLimits::default());
        let (populations, places) = (populations(), Places::default());
        let scene = Scene::new(&summary, &populations, &places, None);
        let mut group = scene.alone(|_| true).remove(0);
        group.of.addresses = vec![address(0), address(1)];
        assert_eq!(is_resolver(&scene, &group), wanted, "{name}");
    }
}

#[test]
fn a_flood_of_a_minute_is_no_shadow() {
    let fed = |lasts_s: u64, rows_answered: u64| {
        let mut whole = CollectorSummary::default();
        whole.rows_answered = rows_answered;
        whole.seen = Seen::between(TimestampNs(0), TimestampNs(lasts_s * 1_000_000_000));
        whole
    };
    for (name, lasts_s, answered, wanted) in
        [("a flood", 90, 0, true), ("log lines all evening", 7_200, 0, false), ("a visit", 90, 3, false)]
    {
        assert_eq!(is_flooded(&fed(lasts_s, answered)), wanted, "{name}");
    }
}

#[test]
fn what_one_order_moves_follows_nobody() {
    use crate::flow::row::FlowColumns;
    use crate::population::places::Places;
    use crate::population::summary::tests::{hour_of, populations, row};
    // A dozen homes, two dozen visits of each, and a part of what they moved sent elsewhere two seconds later.
    let worst = |at: &dyn Fn(u64, u64) -> u64| {
        let mut rows = FlowColumns::default();
        for (home, n) in (0..12u64).flat_map(|home| (0..24u64).map(move |n| (home, n))) {
            let moved = (4e4 * (2.5 * draw((64 * home + n) as usize)).exp()) as u64;
            let (from, page) = (Address::v4([10, 0, 0, home as u8]), Address::v4([198, 51, 100, (n % 9) as u8]));
            let second = at(home, n);
            for (to, later, up, down) in [(page, 0, 900, moved), (Address::v4([203, 0, 113, 7]), 2, moved / 20, 60)] {
                let mut one = row(from, to, second + later, up, down);
                one.ts_last = one.ts_first.after(DurationNs::from_secs(1));
                rows.push(one);
            }
        }
        let (summary, populations, places) = (hour_of(&rows), populations(), Places::default());
        let mut findings = Vec::new();
        detect(&Scene::new(&summary, &populations, &places, None), &mut findings);
        findings.iter().map(|finding| finding.severity).max()
    };
    let own = |home: u64, n: u64| 140 * n + (home * 53 + n * n * 37) % 131;
    let order = |_: u64, n: u64| 140 * n + n * n * 37 % 131;
    assert!(worst(&own) >= Some(Severity::Medium), "{:?}", worst(&own));
    assert!(worst(&order) < Some(Severity::Medium), "{:?}", worst(&order));
}

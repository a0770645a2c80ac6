//! Rhythm: how busy people are at each hour of the day and day of the week, with the unrest of real days and a football final.
//! In: a time (UTC; no world keeps another clock). Out: a factor that multiplies the rate of everything people do.
//! Source: the shape that exchange points publish: low at four in the morning, a shoulder by day, a peak at eight in the evening;
//! offices follow the working day, a campus both. Unrest and events depend on the time alone: everybody shares them.

use crate::synth::dice::Dice;
use crate::units::{DurationNs, TimestampNs};

/// Whose day it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Homes,
    Offices,
    Campus,
}

const HOMES: [f64; 24] = [
    0.46, 0.30, 0.20, 0.15, 0.13, 0.15, 0.24, 0.38, 0.50, 0.55, 0.58, 0.61, 0.64, 0.63, 0.62, 0.65, 0.71, 0.79, 0.88,
    0.96, 1.00, 0.98, 0.86, 0.66,
];
const OFFICES: [f64; 24] = [
    0.03, 0.03, 0.03, 0.03, 0.03, 0.05, 0.14, 0.42, 0.82, 0.97, 1.00, 0.96, 0.66, 0.84, 0.98, 0.95, 0.80, 0.48, 0.22,
    0.12, 0.08, 0.06, 0.04, 0.03,
];
const CAMPUS: [f64; 24] = [
    0.40, 0.27, 0.16, 0.10, 0.08, 0.09, 0.15, 0.34, 0.68, 0.86, 0.95, 0.97, 0.85, 0.93, 0.98, 0.95, 0.86, 0.72, 0.66,
    0.70, 0.76, 0.78, 0.70, 0.55,
];
const HOUR_NS: u64 = 3_600_000_000_000;
const DAYS_A_WEEK: u64 = 7;
/// 1970-01-01 was a Thursday; Saturday is two days on.
const FIRST_SATURDAY: u64 = 2;
/// Above every factor there is.
const BUSIEST: f64 = 1.6;
/// How long a whim of the crowd lasts, and how far it goes.
const WHIM_NS: u64 = 600_000_000_000;
const WHIM: f64 = 0.12;
/// Every so many weeks a final is played: Sundays at 19:00, two halves of 45 minutes and 15 between.
const WEEKS_A_FINAL: u64 = 4;
const KICK_OFF_MIN: u64 = 19 * 60;

/// How busy people of a world are now: 1 at an ordinary evening's peak, never over [`BUSIEST`].
pub(crate) fn activity_of(shape: Shape, at: TimestampNs) -> f64 {
    let day = match shape {
        Shape::Homes => &HOMES,
        Shape::Offices => &OFFICES,
        Shape::Campus => &CAMPUS,
    };
    let hour = at.0 / HOUR_NS;
    let part = (at.0 % HOUR_NS) as f64 / HOUR_NS as f64;
    let (now, next) = (day[(hour % 24) as usize], day[((hour + 1) % 24) as usize]);
    let weekend = (hour / 24 + DAYS_A_WEEK - FIRST_SATURDAY) % DAYS_A_WEEK < 2;
    let by_day = (8..17).contains(&(hour % 24));
    let week = match (shape, weekend) {
        (Shape::Homes, true) if by_day => 1.15,
        (Shape::Offices, true) => 0.1,
        (Shape::Campus, true) => 0.55,
        _ => 1.0,
    };
    ((now + (next - now) * part) * week * whim(at) * event(shape, at)).min(BUSIEST)
}

/// The crowd's unrest: smooth noise, the same for everybody.
fn whim(at: TimestampNs) -> f64 {
    let toss = |slot: u64| {
        let mut x = slot.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        x = (x ^ x >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (x ^ x >> 32) as u32 as f64 / f64::from(u32::MAX) * 2.0 - 1.0
    };
    let slot = at.0 / WHIM_NS;
    let part = (at.0 % WHIM_NS) as f64 / WHIM_NS as f64;
    let blend = part * part * (3.0 - 2.0 * part);
    1.0 + WHIM * (toss(slot) * (1.0 - blend) + toss(slot + 1) * blend)
}

/// The final: hands are still while the ball moves, and busy in the break and after the whistle.
fn event(shape: Shape, at: TimestampNs) -> f64 {
    let day = at.0 / (24 * HOUR_NS);
    let sunday = (day + DAYS_A_WEEK - FIRST_SATURDAY) % DAYS_A_WEEK == 1;
    let final_week = (day / DAYS_A_WEEK).is_multiple_of(WEEKS_A_FINAL);
    let minute = at.0 / 60_000_000_000 % 1_440;
    if shape == Shape::Offices || !sunday || !final_week || minute < KICK_OFF_MIN {
        return 1.0;
    }
    match minute - KICK_OFF_MIN {
        0..45 | 60..105 => 0.7,
        45..60 => 1.4,
        105..125 => 1.35,
        _ => 1.0,
    }
}

/// When a person at home next does something that they do `per_hour` times an hour at the busiest.
pub(crate) fn next(at: TimestampNs, per_hour: f64, dice: &mut Dice) -> TimestampNs {
    next_of(Shape::Homes, at, per_hour, dice)
}

/// The same in any world: a Poisson process whose rate follows the rhythm (by thinning).
pub(crate) fn next_of(shape: Shape, at: TimestampNs, per_hour: f64, dice: &mut Dice) -> TimestampNs {
    let mut at = at;
    loop {
        at = at.after(dice.secs_exponential(3600.0 / (per_hour.max(1e-6) * BUSIEST))).after(DurationNs(1));
        if dice.chance(activity_of(shape, at) / BUSIEST) {
            return at;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> TimestampNs {
        let time: jiff::Timestamp = text.parse().expect("a time");
        TimestampNs(time.as_nanosecond() as u64)
    }

    #[test]
    fn each_world_has_its_day_and_its_week() {
        let busy = |shape, text: &str| activity_of(shape, at(text));
        for (name, shape, more, less) in [
            ("an evening at home", Shape::Homes, "2026-03-02T20:00:00Z", "2026-03-02T04:00:00Z"),
            ("a Saturday noon at home", Shape::Homes, "2026-02-28T12:00:00Z", "2026-03-02T04:30:00Z"),
            ("a morning at the office", Shape::Offices, "2026-03-02T10:00:00Z", "2026-03-02T20:00:00Z"),
            ("a weekday at the office", Shape::Offices, "2026-03-02T10:00:00Z", "2026-02-28T10:00:00Z"),
            ("a lecture", Shape::Campus, "2026-03-02T11:00:00Z", "2026-03-02T05:00:00Z"),
        ] {
            assert!(busy(shape, more) > 1.5 * busy(shape, less), "{name}: {more} {less}");
        }
    }

    #[test]
    fn a_final_shows_in_one_sunday_of_four() {
        let first = at("2026-03-01T19:20:00Z");
        let week = DurationNs(DAYS_A_WEEK * 24 * HOUR_NS);
        let (mut finals, mut kick_off) = (0, first);
        for _ in 0..8 {
            finals += u32::from(event(Shape::Homes, kick_off) < 1.0);
            kick_off = kick_off.after(week);
        }
        assert_eq!(finals, 2);
    }

    #[test]
    fn a_day_holds_as_many_events_as_its_rhythm_says() {
        let mut dice = crate::synth::dice::Seeds::new(1).dice("rhythm", 0);
        let start = TimestampNs(1_772_409_600_000_000_000);
        let end = start.after(DurationNs(24 * HOUR_NS));
        let (mut at, mut events) = (start, 0);
        while at < end {
            at = next(at, 60.0, &mut dice);
            events += 1;
        }
        let wanted = 60.0 * HOMES.iter().sum::<f64>();
        assert!((f64::from(events) / wanted - 1.0).abs() < 0.15, "{events} of {wanted}");
    }
}

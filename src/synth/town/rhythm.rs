//! Rhythm: how busy people are at each hour of the day and day of the week.
//! In: a time (UTC; the town keeps no other clock). Out: a factor of 0 to 1 that multiplies the rate of everything people do.
//! Source: the shape that exchange points publish: low at four in the morning, a shoulder by day, a peak at eight in the evening.

use crate::synth::dice::Dice;
use crate::units::{DurationNs, TimestampNs};

const DAY: [f64; 24] = [
    0.46, 0.30, 0.20, 0.15, 0.13, 0.15, 0.24, 0.38, 0.50, 0.55, 0.58, 0.61, 0.64, 0.63, 0.62, 0.65, 0.71, 0.79, 0.88,
    0.96, 1.00, 0.98, 0.86, 0.66,
];
const HOUR_NS: u64 = 3_600_000_000_000;
const DAYS_A_WEEK: u64 = 7;
/// 1970-01-01 was a Thursday; Saturday is two days on.
const FIRST_SATURDAY: u64 = 2;

/// How busy people are now.
pub(crate) fn activity(at: TimestampNs) -> f64 {
    let hour = at.0 / HOUR_NS;
    let part = (at.0 % HOUR_NS) as f64 / HOUR_NS as f64;
    let (now, next) = (DAY[(hour % 24) as usize], DAY[((hour + 1) % 24) as usize]);
    let weekend = (hour / 24 + DAYS_A_WEEK - FIRST_SATURDAY) % DAYS_A_WEEK < 2;
    let by_day = (8..17).contains(&(hour % 24));
    (now + (next - now) * part) * if weekend && by_day { 1.15 } else { 1.0 }
}

/// When a person next does something that they do `per_hour` times an hour at the busiest: a Poisson process whose rate
/// follows the rhythm (by thinning).
pub(crate) fn next(at: TimestampNs, per_hour: f64, dice: &mut Dice) -> TimestampNs {
    const BUSIEST: f64 = 1.15;
    let mut at = at;
    loop {
        at = at.after(dice.secs_exponential(3600.0 / (per_hour.max(1e-6) * BUSIEST))).after(DurationNs(1));
        if dice.chance(activity(at) / BUSIEST) {
            return at;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evenings_are_busy_and_nights_are_not() {
        let at = |text: &str| {
            let time: jiff::Timestamp = text.parse().expect("a time");
            activity(TimestampNs(time.as_nanosecond() as u64))
        };
        assert_eq!(at("2026-03-02T20:00:00Z"), 1.0);
        assert!(at("2026-03-02T04:00:00Z") < 0.2);
        assert!(at("2026-02-28T12:00:00Z") > at("2026-03-02T12:00:00Z"), "a Saturday noon is busier than a Monday's");
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
        let wanted = 60.0 * DAY.iter().sum::<f64>();
        assert!((f64::from(events) / wanted - 1.0).abs() < 0.15, "{events} of {wanted}");
    }
}

//! Figures as reports write them: times, sizes, counts and measured values.
//! In: units. Out: short text, the same on every machine (no locale).

use jiff::Timestamp;

use crate::units::{DurationNs, TimestampNs};

/// `2026-03-01T12:00:00.000000+0000`: UTC, microseconds, the form of Suricata's EVE.
pub fn eve_time(ts: TimestampNs) -> String {
    instant(ts).strftime("%Y-%m-%dT%H:%M:%S%.6f+0000").to_string()
}

/// `2026-03-01T12:00:00.000000000Z`: RFC 3339, UTC, nanoseconds.
pub fn full_time(ts: TimestampNs) -> String {
    instant(ts).strftime("%Y-%m-%dT%H:%M:%S%.9fZ").to_string()
}

/// `2026-03-01 12:00:00`: UTC, whole seconds, for people.
pub fn plain_time(ts: TimestampNs) -> String {
    instant(ts).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// `2026-03-01`: the UTC day.
pub fn plain_date(ts: TimestampNs) -> String {
    instant(ts).strftime("%Y-%m-%d").to_string()
}

/// `2026-03-01 12:00:00 to 18:00:00 UTC (6.0 h)`.
pub fn span(start: TimestampNs, end: TimestampNs) -> String {
    let end_text = match plain_date(start) == plain_date(end) {
        true => instant(end).strftime("%H:%M:%S").to_string(),
        false => plain_time(end),
    };
    format!("{} to {end_text} UTC ({})", plain_time(start), length(end.since(start)))
}

/// A length of time in the unit that suits it: `350 ms`, `12 s`, `4.2 min`, `6.0 h`, `3.1 d`.
pub fn length(duration: DurationNs) -> String {
    let s = duration.as_secs_f64();
    match s {
        _ if s < 1.0 => format!("{:.0} ms", s * 1e3),
        _ if s < 120.0 => format!("{s:.0} s"),
        _ if s < 7_200.0 => format!("{:.1} min", s / 60.0),
        _ if s < 172_800.0 => format!("{:.1} h", s / 3_600.0),
        _ => format!("{:.1} d", s / 86_400.0),
    }
}

/// `512 B`, `12.3 MiB`.
pub fn bytes(n: u64) -> String {
    crate::policy::size::show(n)
}

/// `1,234,567`.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A count and its noun: `1 flow`, `9,000 flows`.
pub fn counted(n: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(n), if n == 1 { "" } else { "s" })
}

/// A measured value with two or three significant digits; whole numbers up to a million as they are.
pub fn measured(value: f64) -> String {
    let size = value.abs();
    match size {
        _ if !value.is_finite() => "n/a".to_owned(),
        _ if size == 0.0 => "0".to_owned(),
        _ if !(1e-6..1e15).contains(&size) => format!("{value:.1e}"),
        _ if value.fract() == 0.0 || size >= 1e3 => {
            format!("{}{}", if value < 0.0 { "-" } else { "" }, count(size.round() as u64))
        }
        _ if size >= 100.0 => format!("{value:.0}"),
        _ if size >= 10.0 => format!("{value:.1}"),
        _ if size >= 0.1 => format!("{value:.2}"),
        _ => {
            let decimals = 1 + (-size.log10()).ceil() as usize;
            format!("{value:.decimals$}").trim_end_matches('0').to_owned()
        }
    }
}

/// A share of one as per cent: `16 %`, `0.4 %`.
pub fn percent(share: f64) -> String {
    match share * 100.0 {
        p if !p.is_finite() => "n/a".to_owned(),
        p if p > 0.0 && p < 0.1 => "< 0.1 %".to_owned(),
        p if p < 10.0 && p.fract() != 0.0 => format!("{p:.1} %"),
        p => format!("{p:.0} %"),
    }
}

/// A JSON number: none where it is not finite, and never minus zero.
pub fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value + 0.0)
}

fn instant(ts: TimestampNs) -> Timestamp {
    // All of `u64` nanoseconds (to the year 2554) lie within jiff's range (to 9999).
    Timestamp::from_nanosecond(i128::from(ts.0)).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc_with_microseconds() {
        let table = [
            (0, "1970-01-01T00:00:00.000000+0000"),
            (1_772_366_400_000_000_000, "2026-03-01T12:00:00.000000+0000"),
            (1_772_366_400_123_456_789, "2026-03-01T12:00:00.123456+0000"),
            (u64::MAX, "2554-07-21T23:34:33.709551+0000"),
        ];
        for (ns, wanted) in table {
            assert_eq!(eve_time(TimestampNs(ns)), wanted);
        }
        let (noon, evening) = (TimestampNs(1_772_366_400_000_000_000), TimestampNs(1_772_388_000_000_000_000));
        assert_eq!(span(noon, evening), "2026-03-01 12:00:00 to 18:00:00 UTC (6.0 h)");
        let later = evening.after(DurationNs::from_secs(86_400 * 3));
        assert_eq!(span(noon, later), "2026-03-01 12:00:00 to 2026-03-04 18:00:00 UTC (3.2 d)");
    }

    #[test]
    fn figures_are_short() {
        for (n, wanted) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(count(n), wanted);
        }
        let values = [
            (0.0, "0"),
            (-0.0, "0"),
            (0.97, "0.97"),
            (0.00002, "0.00002"),
            (3.2e-9, "3.2e-9"),
            (0.0123, "0.012"),
            (0.05, "0.05"),
            (12.345, "12.3"),
            (312.0, "312"),
            (-1234.6, "-1,235"),
            (f64::NAN, "n/a"),
        ];
        for (value, wanted) in values {
            assert_eq!(measured(value), wanted);
        }
        for (share, wanted) in [(0.16, "16 %"), (0.004, "0.4 %"), (0.0001, "< 0.1 %"), (1.0, "100 %"), (0.0, "0 %")] {
            assert_eq!(percent(share), wanted);
        }
        assert_eq!((finite(f64::NAN), finite(f64::INFINITY)), (None, None));
        assert!(finite(-0.0).is_some_and(|v| v.is_sign_positive()));
    }
}

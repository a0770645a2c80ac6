//! When: times as people write them.
//! In: a word, a date, a time, a length of time ago; the wall clock. Out: a time.

use anyhow::bail;

use super::options::parse_duration;
use crate::units::{DurationNs, TimestampNs};

const DAY: DurationNs = DurationNs::from_secs(86_400);

/// The wall clock.
pub fn now() -> TimestampNs {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    TimestampNs(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

/// A time: `2026-03-01`, `2026-03-01T12:00:00Z`, `today`, `yesterday` (UTC), or `36h` for so long before `now`.
pub fn parse(option: &str, text: &str, now: TimestampNs) -> anyhow::Result<TimestampNs> {
    let today = now.slot_start(DAY);
    if let Some(named) = match text {
        "now" => Some(now),
        "today" => Some(today),
        "yesterday" => Some(today.before(DAY)),
        _ => None,
    } {
        return Ok(named);
    }
    if let Ok(ago) = parse_duration(text)
        && !text.bytes().all(|byte| byte.is_ascii_digit())
    {
        return Ok(now.before(ago));
    }
    let midnight = |date: jiff::civil::Date| {
        jiff::tz::Offset::UTC.to_timestamp(date.to_datetime(jiff::civil::Time::midnight())).ok()
    };
    let of_date = text.parse::<jiff::civil::Date>().ok().and_then(midnight);
    let instant = text.parse::<jiff::Timestamp>().ok().or(of_date.filter(|_| text.len() <= 10));
    match instant.map(|instant| u64::try_from(instant.as_nanosecond())) {
        Some(Ok(ns)) => Ok(TimestampNs(ns)),
        _ => bail!(
            "{option} {text:?}: is no time; write 2026-03-01, 2026-03-01T12:00:00Z, yesterday, or 36h for so long ago"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_as_people_write_them() {
        let noon = TimestampNs(1_772_366_400_000_000_000); // 2026-03-01T12:00:00Z
        let at = |text| parse("--since", text, noon).ok().map(|ts| ts.0 / 1_000_000_000);
        let table = [
            ("today", Some(1_772_323_200)),
            ("yesterday", Some(1_772_236_800)),
            ("36h", Some(1_772_366_400 - 36 * 3600)),
            ("2026-03-01", Some(1_772_323_200)),
            ("2026-03-01T12:00:00Z", Some(1_772_366_400)),
            ("2026-03-01T12:00:00+02:00", Some(1_772_359_200)),
            ("tomorrowish", None),
            ("12", None),
            ("", None),
        ];
        for (text, wanted) in table {
            assert_eq!(at(text), wanted, "{text:?}");
        }
    }
}

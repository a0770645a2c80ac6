//! Sizes as people write them.
//! In: `2 MiB`, `1.5 GB`, `4096`. Out: bytes. Units of 1000 and of 1024 are told apart (IEC 80000-13).

/// The units, longest first, so that none hides another.
const UNITS: [(&str, u64); 10] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1_000),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("B", 1),
];
/// Digits after the decimal point that are read: enough for a byte of a TiB.
const DECIMALS_MAX: usize = 12;

/// The bytes that a size means; none where it means nothing. Parts of a byte are cut off.
pub fn parse(text: &str) -> Option<u64> {
    let text = text.trim();
    let (number, unit) = match UNITS.iter().find_map(|(name, unit)| Some((text.strip_suffix(name)?, *unit))) {
        Some((number, unit)) => (number.trim_end(), unit),
        None => (text, 1),
    };
    let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !is_digits(whole) || !is_digits(decimals) || decimals.len() > DECIMALS_MAX {
        return None;
    }
    let whole: u64 = whole.parse().ok()?;
    let scale = 10u128.pow(decimals.len() as u32);
    let part = decimals.parse::<u128>().ok()? * u128::from(unit) / scale;
    whole.checked_mul(unit)?.checked_add(u64::try_from(part).ok()?)
}

/// A size for people, in units of 1024: `512 B`, `12.3 MiB`.
pub fn show(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    // 1023.95 would round to 1024.0.
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_shown_shortly() {
        let table = [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1_048_575, "1.0 MiB"), (u64::MAX, "16.0 EiB")];
        for (bytes, wanted) in table {
            assert_eq!(show(bytes), wanted);
        }
    }

    #[test]
    fn sizes_mean_bytes() {
        let table = [
            ("2 MiB", Some(2 << 20)),
            ("100 MB", Some(100_000_000)),
            ("4096", Some(4096)),
            ("4096 B", Some(4096)),
            ("1.5KiB", Some(1536)),
            ("0.001 kB", Some(1)),
            (" 3 GB ", Some(3_000_000_000)),
            ("0", Some(0)),
            ("", None),
            ("MiB", None),
            ("-1", None),
            ("2 mib", None),
            ("2 MiBit", None),
            ("1e6", None),
            ("1.", None),
            ("2,5 MB", None),
            ("99999999999 TiB", None),
            ("18446744073709551616", None),
        ];
        for (text, wanted) in table {
            assert_eq!(parse(text), wanted, "{text:?}");
        }
    }
}

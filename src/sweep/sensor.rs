//! Sensors: which capture is of which one.
//! In: a path, and a name or a pattern. Out: a name. Long memory runs over the captures of one sensor.

use std::path::Path;

/// Name of the sensor where nothing names it.
pub const DEFAULT: &str = "default";
/// Longest name, in bytes; what is longer is cut.
const NAME_BYTES_MAX: usize = 200;

/// How captures get their sensor.
#[derive(Clone, Debug, Default)]
pub enum SensorNaming {
    /// All are of one sensor, [`DEFAULT`].
    #[default]
    Default,
    /// All are of this one.
    Named(String),
    /// The path says it.
    Pattern(SensorPattern),
}

impl SensorNaming {
    /// The sensor of the capture at a path.
    pub fn of(&self, path: &Path) -> String {
        match self {
            Self::Default => DEFAULT.to_owned(),
            Self::Named(name) => name.clone(),
            Self::Pattern(pattern) => pattern.of(path).unwrap_or_else(|| DEFAULT.to_owned()),
        }
    }
}

/// A path in which `{}` stands for the sensor's name, `*` for anything within a part of the path, `**` for any parts.
/// It is held against the end of the path: `{}/*.pcap` takes the name of the folder that a capture lies in.
#[derive(Clone, Debug)]
pub struct SensorPattern {
    text: Vec<u8>,
}

/// Why a pattern was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?}: needs {{}} exactly once, where the sensor's name stands; for example '*/{{}}/*.pcap' or '{{}}-*.pcap.zst'"
)]
pub struct PatternError(String);

impl SensorPattern {
    /// From its text.
    ///
    /// # Errors
    /// Where the name has no place, or several.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        match text.matches("{}").count() {
            1 => Ok(Self { text: text.as_bytes().to_vec() }),
            _ => Err(PatternError(text.to_owned())),
        }
    }

    /// The name in a path; none where the pattern does not fit.
    pub fn of(&self, path: &Path) -> Option<String> {
        let path = path.as_os_str().as_encoded_bytes();
        let starts =
            std::iter::once(0).chain(path.iter().enumerate().filter(|(_, b)| **b == b'/').map(|(at, _)| at + 1));
        let name = starts.rev_sorted().into_iter().find_map(|start| fit(&self.text, path, start, None))?;
        let name = String::from_utf8_lossy(&path[name.0..name.1]).into_owned();
        let cut = name.char_indices().map(|(at, _)| at).take_while(|at| *at <= NAME_BYTES_MAX).last().unwrap_or(0);
        Some(if name.len() > NAME_BYTES_MAX { name[..cut].to_owned() } else { name })
    }
}

/// Starts from the end of the path: the shortest tail that fits names the sensor.
trait RevSorted {
    fn rev_sorted(self) -> Vec<usize>;
}

impl<I: Iterator<Item = usize>> RevSorted for I {
    fn rev_sorted(self) -> Vec<usize> {
        let mut all: Vec<usize> = self.collect();
        all.sort_unstable_by_key(|at| std::cmp::Reverse(*at));
        all
    }
}

/// Fits `pattern` to all of `path` from `at` on; where the name stands, if it fits. Patterns are short, and so are paths.
fn fit(pattern: &[u8], path: &[u8], at: usize, name: Option<(usize, usize)>) -> Option<(usize, usize)> {
    let within = |end: usize| !path[at..end].contains(&b'/');
    if let Some(rest) = pattern.strip_prefix(b"{}") {
        return (at + 1..=path.len())
            .take_while(|end| within(*end))
            .find_map(|end| fit(rest, path, end, Some((at, end))));
    }
    if let Some(rest) = pattern.strip_prefix(b"**") {
        return (at..=path.len()).find_map(|end| fit(rest, path, end, name));
    }
    match (pattern.split_first(), path.get(at)) {
        (None, None) => name,
        (Some((b'*', rest)), _) => {
            (at..=path.len()).take_while(|end| within(*end)).find_map(|end| fit(rest, path, end, name))
        }
        (Some((letter, rest)), Some(found)) if letter == found => fit(rest, path, at + 1, name),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_out_of_paths() {
        let table = [
            ("{}/*.pcap", "/srv/caps/west/1.pcap", Some("west")),
            ("{}/**", "/srv/caps/west/1.pcap", Some("west")),
            ("caps/{}/**", "/srv/caps/west/2026/03/1.pcap", Some("west")),
            ("{}-*.pcap.zst", "archive/border2-20260301.pcap.zst", Some("border2")),
            ("sensor-{}/*", "x/sensor-a.b/1", Some("a.b")),
            ("{}/*.pcap", "1.pcap", None),
            ("{}/*.pcap", "a/1.log", None),
        ];
        for (pattern, path, wanted) in table {
            let pattern = SensorPattern::parse(pattern).expect("a pattern");
            assert_eq!(pattern.of(Path::new(path)).as_deref(), wanted, "{path}");
        }
        assert!(SensorPattern::parse("*.pcap").is_err());
        assert!(SensorPattern::parse("{}/{}").is_err());
        let naming = SensorNaming::Pattern(SensorPattern::parse("{}/*.pcap").expect("a pattern"));
        assert_eq!(naming.of(Path::new("1.log")), DEFAULT);
    }
}

//! Split: seeds that detectors are tuned on, and seeds that figures are reported on, kept apart.
//! In: reporting seeds as people write them (`100-199,300`), the seeds of captures. Out: which captures may be scored together.

use super::labels::Labels;

/// The reporting seeds; every other seed is for tuning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    ranges: Vec<(u64, u64)>,
}

/// Which seeds are scored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    /// Those that the split names.
    Reporting,
    /// The others.
    Tuning,
}

/// Why captures may not be scored together.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SplitError {
    /// Not a list of seeds.
    #[error("{0:?} is no list of seeds; write for example 100-199,300")]
    Syntax(String),
    /// A capture says no seed.
    #[error("{0}: neither its labels nor its name say the seed, so --split cannot tell which half it belongs to")]
    Unknown(String),
    /// Both halves at once.
    #[error(
        "{tuning} was made from a seed for tuning and {reporting} from one for reporting; figures over both would be \
         neither: give one kind only, or say --half reporting or --half tuning"
    )]
    Mixed {
        /// One capture for tuning.
        tuning: String,
        /// One for reporting.
        reporting: String,
    },
}

impl std::str::FromStr for Split {
    type Err = SplitError;

    fn from_str(text: &str) -> Result<Self, SplitError> {
        let refused = || SplitError::Syntax(text.to_owned());
        let range = |part: &str| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
            (first <= last).then_some((first, last))
        };
        let ranges = text.split(',').map(range).collect::<Option<Vec<(u64, u64)>>>().ok_or_else(refused)?;
        Ok(Self { ranges })
    }
}

impl Split {
    /// Which half a seed belongs to.
    pub fn half_of(&self, seed: u64) -> Half {
        match self.ranges.iter().any(|(first, last)| (*first..=*last).contains(&seed)) {
            true => Half::Reporting,
            false => Half::Tuning,
        }
    }

    /// The captures that may be scored: all where they are of one half, those of `wanted` where it is said.
    ///
    /// # Errors
    /// Where a capture says no seed, or where both halves are there and none is wanted.
    pub fn choose(
        &self,
        captures: Vec<(String, Labels)>,
        wanted: Option<Half>,
    ) -> Result<Vec<(String, Labels)>, SplitError> {
        let mut chosen = Vec::new();
        let mut first: [Option<String>; 2] = [None, None];
        for (name, labels) in captures {
            let half = self.half_of(labels.seed.ok_or_else(|| SplitError::Unknown(name.clone()))?);
            first[half as usize].get_or_insert_with(|| name.clone());
            if wanted.is_none_or(|wanted| wanted == half) {
                chosen.push((name, labels));
            }
        }
        match (wanted, first) {
            (None, [Some(reporting), Some(tuning)]) => Err(SplitError::Mixed { tuning, reporting }),
            _ => Ok(chosen),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(seed: Option<u64>) -> Labels {
        Labels {
            capture: "x.pcap".into(),
            policy: None,
            geo: None,
            population: Vec::new(),
            seed,
            world: None,
            operations: Vec::new(),
            benign: Vec::new(),
        }
    }

    #[test]
    fn seeds_are_kept_apart() {
        let split: Split = "100-199, 300".parse().expect("a list");
        for (seed, half) in [(99, Half::Tuning), (100, Half::Reporting), (199, Half::Reporting), (300, Half::Reporting)]
        {
            assert_eq!(split.half_of(seed), half, "{seed}");
        }
        let captures = |seeds: &[Option<u64>]| {
            seeds.iter().enumerate().map(|(i, seed)| (format!("c{i}"), labels(*seed))).collect::<Vec<_>>()
        };
        let names = |chosen: Vec<(String, Labels)>| chosen.into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        let both = [Some(1), Some(150), Some(300)];
        assert_eq!(names(split.choose(captures(&both[1..]), None).expect("one half")), ["c0", "c1"]);
        assert_eq!(names(split.choose(captures(&both), Some(Half::Tuning)).expect("chosen")), ["c0"]);
        let mixed = split.choose(captures(&both), None).expect_err("both halves");
        assert_eq!(mixed, SplitError::Mixed { tuning: "c0".to_owned(), reporting: "c1".to_owned() });
        let unknown = split.choose(captures(&[None]), None).expect_err("no seed");
        assert_eq!(unknown, SplitError::Unknown("c0".to_owned()));
        for text in ["", "a", "9-1", "1-", "1,,2"] {
            assert_eq!(text.parse::<Split>(), Err(SplitError::Syntax(text.to_owned())), "{text}");
        }
    }
}

//! Looks: what a round of detectors saw, and where it was not convinced of what an earlier one had claimed.
//! In: detectors that measured a party. Out: doubts, for the ledger to hold its claims against.
//! A doubt is a measurement: a detector that could not tell (too few repeats for a rhythm, say) has none. Bounds: one a
//! detector and party that is claimed.

use super::finding::Technique;
use crate::population::Span;
use crate::units::{DurationNs, TimestampNs};

/// One round of all detectors over one stretch.
#[derive(Clone, Debug)]
pub struct Look {
    /// The stretch.
    pub span: Span,
    /// Whether it is an hour that is over: such looks do not share evidence with each other.
    pub is_whole_hour: bool,
    /// Where it was not convinced.
    pub doubts: Vec<Doubt>,
}

/// A party that was claimed, measured again, and below `medium` now.
#[derive(Clone, Debug, PartialEq)]
pub struct Doubt {
    /// The technique.
    pub technique: Technique,
    /// The collector's key.
    pub collector_key: String,
    /// The population's name.
    pub population: String,
    /// Packets that were seen of it.
    pub packets: u64,
    /// Over how long.
    pub length: DurationNs,
    /// 0 to 1, by the same reasons as the claim's.
    pub score: f64,
    /// Where the claim is that the party came into use: since when it was in use as far as this look saw.
    pub since: Option<TimestampNs>,
    /// What it rests on.
    pub ground: DoubtGround,
}

/// What a doubt rests on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DoubtGround {
    /// More was seen of the party itself: of no account before it is clearly more.
    #[default]
    MoreOfTheSame,
    /// Others were seen to do the same. However little they add, it speaks of what was claimed.
    Others,
}

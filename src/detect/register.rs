//! Register: what a detector may know of the policy: which parties may do what.
//! In: a party, a technique, a population, a time. Out: yes or no. The policy answers; whoever has none asks nobody.
//! Why detectors ask at all: what several addresses do together is judged as one, and there one of them that may, beside
//! neighbours that only share its network, would make them all one stranger. A party that may is judged alone, and its
//! finding is kept at `info` by the policy's own verdict.

use super::finding::{CollectorIdentity, Technique};
use crate::units::TimestampNs;

/// Who answers.
pub trait Register: std::fmt::Debug + Sync {
    /// Whether an entry allows this party that technique on that population, at that time and as long as it keeps within
    /// its limits.
    fn allows(&self, technique: Technique, party: &CollectorIdentity, population: &str, at: TimestampNs) -> bool;

    /// Whether nobody is allowed anything: then nobody need be described to be asked about.
    fn is_empty(&self) -> bool;
}

/// Allows nothing.
#[derive(Clone, Copy, Debug)]
pub struct NoRegister;

impl Register for NoRegister {
    fn allows(&self, _: Technique, _: &CollectorIdentity, _: &str, _: TimestampNs) -> bool {
        false
    }

    fn is_empty(&self) -> bool {
        true
    }
}

//! The policy in force: what detectors ask while somebody may put another in its place between two looks.
//! In: policies, one after the other. Out: whatever the last of them says. Not on the path of packets: it is asked at looks.

use std::sync::{PoisonError, RwLock};

use super::Policy;
use crate::detect::finding::{CollectorIdentity, Technique};
use crate::detect::register::Register;
use crate::units::TimestampNs;

/// A register that can be changed while it is shared.
#[derive(Debug, Default)]
pub struct PolicyInForce(RwLock<Policy>);

impl PolicyInForce {
    /// This policy, for now.
    pub fn of(policy: Policy) -> Self {
        Self(RwLock::new(policy))
    }

    /// Puts another in its place.
    pub fn put(&self, policy: Policy) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = policy;
    }
}

impl Register for PolicyInForce {
    fn allows(&self, technique: Technique, party: &CollectorIdentity, population: &str, at: TimestampNs) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).allows(technique, party, population, at)
    }

    fn is_empty(&self) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).is_empty()
    }
}

//! The policy in force: what detectors and whoever judges their findings ask while another may be put in its place.
//! In: policies, one after the other. Out: whatever the last of them says. Not on the path of packets: it is asked at looks.

use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use super::Policy;
use crate::detect::finding::{CollectorIdentity, Finding, Technique};
use crate::detect::register::Register;
use crate::units::TimestampNs;

/// A register that can be changed while it is shared.
#[derive(Debug, Default)]
pub struct PolicyInForce(RwLock<Policy>);

impl PolicyInForce {
    /// Begins with a policy.
    pub fn of(policy: Policy) -> Self {
        Self(RwLock::new(policy))
    }

    /// Puts another in its place.
    pub fn put(&self, policy: Policy) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = policy;
    }

    /// What it says of a finding (see [`Policy::judge`]).
    pub fn judge(&self, finding: &mut Finding) {
        self.read().judge(finding);
    }

    /// Whether it says itself whose data is protected.
    pub fn names_populations(&self) -> bool {
        !self.read().populations().is_empty()
    }

    fn read(&self) -> RwLockReadGuard<'_, Policy> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Register for PolicyInForce {
    fn allows(&self, technique: Technique, party: &CollectorIdentity, population: &str, at: TimestampNs) -> bool {
        self.read().allows(technique, party, population, at)
    }

    fn is_empty(&self) -> bool {
        self.read().is_empty()
    }
}

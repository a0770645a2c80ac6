//! Flows and observations in, a mergeable summary per population, collector and window out.
pub mod places;

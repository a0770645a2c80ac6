//! Labelled traffic from a seed.

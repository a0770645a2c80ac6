//! Keyed, prefix-preserving pseudonyms; the one place that can reveal.

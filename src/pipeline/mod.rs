//! Threads around all that; counters; the only wall clock.

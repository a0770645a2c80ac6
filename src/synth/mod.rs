//! Synth: labelled traffic of a population, from a seed.
//! In: a scenario. Out: a capture, its labels, its policy: same seed, same bytes, on every machine.
//! Bounds: memory follows the number of subscribers and of live connections, never the capture's length.
//! Time: simulated. Not here: scoring (`evaluate`).
//!
//! ```text
//! scenario ─▶ town (homes, devices, habits, services) ─▶ stage (who wakes when) ─▶ wire (bytes) ─▶ write (pcap)
//!          └▶ programs (operations, innocents)        ─┘        └▶ taps (copies)
//! ```

#[cfg(test)]
mod artefacts;
mod dice;
mod faults;
mod forecast;
mod labels;
mod places;
mod programs;
mod scenario;
mod stage;
pub mod suite;
mod town;
mod wire;
mod write;

pub use faults::{FAULTS, FaultError};
pub use forecast::{Forecast, room_bytes};
pub use programs::knobs::{Knob, KnobError, KnobUnit, Knobs};
pub use programs::{PROGRAMS, Program, Role};
pub use scenario::{Overwrite, Scenario, ScenarioError, ScenarioWords, SynthError, SynthReport};
pub use town::world::{WORLDS, World};
pub use write::{WriteError, Written};

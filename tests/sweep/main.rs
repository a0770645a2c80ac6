//! Promises of `sweep`, `findings` and `store`, against the built binary: nothing lost, nothing twice, only news told.
//! Archives are made by `synth` and cut into files; where the folder of real captures is missing, its test says "not run".

mod archive;
#[path = "../program/captures.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod captures;
#[path = "../program/run.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod run;

mod across;
mod captured;
mod content;
mod kill;
mod life;
mod nights;
mod told;

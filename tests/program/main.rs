//! Promises of the whole program, against the built binary and captures that none of us made.
//! Where the folder of real captures is missing, a test says "not run" and passes.

mod captures;
mod run;
mod tunnels;
mod wire;

mod every_file;
mod promises;
mod quiet;

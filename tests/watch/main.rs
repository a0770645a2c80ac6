//! `watch` against traffic on a veth pair in a network namespace that each test makes and removes. Where that is not
//! permitted, or a tool is missing (`make live-tools`), a test says "not run" and passes. Nothing leaves the namespace.
#![cfg(target_os = "linux")]
#![allow(clippy::print_stdout, reason = "a test's output is for people")]

mod net;
mod program;
mod stamped;

mod clocks;
mod confined;
mod counted;
mod faults;
mod pace;
mod same;
mod seen;
mod service;
mod view;

//! Options of `watch`, as they are typed or written in `[watch]`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::cli::options::{FailOn, FindingFormat, SeverityWord, options};

options! {
    /// Options of `watch` alone.
    pub struct Watch {
        /// Interface to listen on; `any` for all; may be given several times
        #[arg(long, short = 'i', value_name = "IFACE", help_heading = "Input")]
        interface: Vec<String>,
        /// Queues an interface is spread over by flow, each with a thread of its own (Linux)
        #[arg(long, value_name = "N", help_heading = "Input")]
        fanout: u16,
        /// Bytes kept of a packet
        #[arg(long, value_name = "BYTES", help_heading = "Input")]
        snap_bytes: u32,
        /// Size of the kernel's ring for each queue
        #[arg(long, value_name = "MIB", help_heading = "Input")]
        buffer_mib: u32,
        /// Ask for packets that are not addressed to this machine
        #[arg(long, value_name = "BOOL", help_heading = "Input", action = clap::ArgAction::Set)]
        promiscuous: bool,
        /// The mirror passes one packet in N: findings say so
        #[arg(long, value_name = "N", help_heading = "Input", value_parser = clap::value_parser!(u32).range(1..))]
        sampling: u32,
        /// How findings are written
        #[arg(long, value_enum, value_name = "FORMAT", help_heading = "Output")]
        format: FindingFormat,
        /// Append findings to this file instead of standard output; opened anew on SIGHUP
        #[arg(long, short = 'o', value_name = "FILE", help_heading = "Output")]
        output: PathBuf,
        /// Send findings to syslog too (RFC 5424): local, unix:PATH, udp://HOST:PORT or tcp://HOST:PORT
        #[arg(long, value_name = "TARGET", help_heading = "Output")]
        syslog: String,
        /// Post each finding to this address too
        #[arg(long, value_name = "URL", help_heading = "Output")]
        webhook: String,
        /// Leave out findings below this
        #[arg(long, value_enum, value_name = "SEVERITY", help_heading = "Output")]
        min_severity: SeverityWord,
        /// Exit with 1 when a finding at or over this was told; `never` to exit with 0
        #[arg(long, value_enum, value_name = "SEVERITY", help_heading = "Output")]
        fail_on: FailOn,
        /// Show a live view on the terminal
        #[arg(long, value_name = "BOOL", help_heading = "Output", num_args = 0..=1, action = clap::ArgAction::Set)]
        #[arg(default_missing_value = "true", require_equals = true)]
        tui: bool,
        /// Serve metrics at /metrics, and /healthz and /readyz, at this address and port
        #[arg(long, value_name = "ADDRESS", help_heading = "Service")]
        metrics: String,
        /// Carry what is known over a restart in this file
        #[arg(long, value_name = "FILE", help_heading = "Service")]
        state: PathBuf,
        /// User that a run under root becomes once the interfaces are open
        #[arg(long, value_name = "NAME", help_heading = "Service")]
        user: String,
        /// Keep the user, the capabilities and every path
        #[arg(long, value_name = "BOOL", help_heading = "Service", num_args = 0..=1, action = clap::ArgAction::Set)]
        #[arg(default_missing_value = "true", require_equals = true)]
        no_sandbox: bool,
        /// Length of a window of capture time
        #[arg(long, value_name = "DURATION", help_heading = "Limits")]
        window: String,
        /// Quiet after which a finding has ended
        #[arg(long, value_name = "DURATION", help_heading = "Limits")]
        ended_after: String,
    }
}

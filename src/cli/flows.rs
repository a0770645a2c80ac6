//! `trawlwatch flows`: captures in, flow records and features out.

use std::path::PathBuf;

use super::options::{ConfigFile, FlowFormatWord, Flows, Shared};
use super::setting::{Setting, flow_format_of};
use super::talk::Talk;
use super::{Status, analysis, options};
use crate::report::flows::FlowFormat;

/// Write flow records and features (Parquet, CSV, JSON)
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Captures: pcap, nanosecond pcap or pcapng; plain, .gz or .zst; `-` is standard input
    #[arg(value_name = "FILE", required_unless_present = "print_config")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    shared: Shared,
    #[command(flatten)]
    flows: Flows,
}

impl Args {
    /// Lays the configuration file and the defaults under what was typed.
    pub fn under(self, file: &ConfigFile) -> Self {
        let defaults = Flows { window: Some("0".to_owned()), ..Flows::default() };
        Self {
            files: self.files,
            shared: self.shared.or(file.shared.clone()).or(options::defaults()),
            flows: self.flows.or(file.flows.clone()).or(defaults),
        }
    }

    /// What is in force, as a configuration file.
    pub fn in_force(&self) -> anyhow::Result<String> {
        options::in_force(&self.shared, "flows", &self.flows)
    }
}

/// Runs the verb.
pub fn run(args: Args, talk: &Talk) -> anyhow::Result<Status> {
    let path = args.flows.output.as_deref();
    let by_name = path.and_then(flow_format_of).unwrap_or(FlowFormat::Csv);
    let format = args.flows.format.map_or(by_name, FlowFormatWord::meant);
    if format == FlowFormat::Parquet && path.is_none() {
        anyhow::bail!("--format parquet: needs a file to write to; add --output FILE.parquet");
    }
    let setting = Setting::new(&args.shared, args.flows.window.as_deref(), talk)?;
    let stats = analysis::flows(&args.files, &setting, (path, format), talk)?;
    Ok(if stats.lossy { Status::Damaged } else { Status::Quiet })
}

//! The command line: one file per verb, plain values in, exit status out.
//! Standard output is results, standard error is talk; this room alone prints and reads the environment.

mod account;
mod analysis;
pub mod evaluate;
pub mod findings;
mod flow_sink;
pub mod flows;
mod notify;
pub mod options;
mod output;
mod papers;
pub mod replay;
mod setting;
pub mod store;
pub mod sweep;
pub mod synth;
mod talk;
pub mod train;
pub mod watch;
mod when;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ArgAction, Parser, Subcommand};

use options::ConfigFile;
use talk::Talk;

/// What a run came to, in the order of CONTRACT.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Ran, and nothing at or over `--fail-on`.
    Quiet,
    /// Ran, and found something at or over `--fail-on`.
    Found,
    /// What was asked for makes no sense.
    Usage,
    /// No input could be read at all.
    Unreadable,
    /// Ran, but part of the input was damaged or lost.
    Damaged,
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        Self::from(match status {
            Status::Quiet => 0,
            Status::Found => 1,
            Status::Usage => 2,
            Status::Unreadable => 3,
            Status::Damaged => 4,
        })
    }
}

/// An error that has an exit status of its own; any other is a usage error.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failed {
    /// The exit status.
    pub status: Status,
    /// What is said on standard error.
    pub message: String,
}

/// Who collects a population's personal data in bulk, how, and on what evidence.
#[derive(Parser, Debug)]
#[command(name = "trawlwatch", version, max_term_width = 100, arg_required_else_help = true)]
#[command(
    after_help = "Exit status: 0 nothing found at or over --fail-on, 1 found, 2 usage, 3 no input readable, 4 input damaged."
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Verb,
}

/// Options of every verb.
#[derive(clap::Args, Clone, Debug)]
pub struct Global {
    /// Read options from this file [default: trawlwatch.toml where it exists]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print the options in force, as a configuration file, and stop
    #[arg(long, global = true)]
    pub print_config: bool,
    /// Say more on standard error; twice for still more
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
    /// Say only errors on standard error
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
}

#[derive(Subcommand, Debug)]
enum Verb {
    Replay(replay::Args),
    Sweep(Box<sweep::Args>),
    Findings(Box<findings::Args>),
    Store(Box<store::Args>),
    Watch(Box<watch::Args>),
    Flows(flows::Args),
    Train(train::Args),
    Evaluate(evaluate::Args),
    Synth(synth::Args),
}

/// Parses the command line, runs the verb, returns the exit status.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are results: clap sends them to standard output with status 0, errors to standard error.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let talk = Talk::new(&cli.global);
    match run(cli, &talk) {
        Ok(status) => status.into(),
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            talk.error(&with_causes(&error));
            error.downcast_ref::<Failed>().map_or(Status::Usage, |failed| failed.status).into()
        }
    }
}

/// An error and what it came from. Many errors name their cause themselves: what is said is not said again.
fn with_causes(error: &anyhow::Error) -> String {
    let mut said = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !said.contains(&cause) {
            said = format!("{said}: {cause}");
        }
    }
    said
}

fn run(cli: Cli, talk: &Talk) -> anyhow::Result<Status> {
    let file = ConfigFile::load(cli.global.config.as_deref())?;
    let only_print = cli.global.print_config;
    match cli.verb {
        Verb::Replay(args) => {
            let args = args.under(&file);
            if only_print { print_config(&args.in_force()?) } else { replay::run(args, talk) }
        }
        Verb::Sweep(args) => {
            let args = args.under(&file);
            if only_print { print_config(&args.in_force()?) } else { sweep::run(args, talk) }
        }
        Verb::Findings(args) => {
            let args = args.under(&file);
            if only_print { print_config(&args.in_force()?) } else { findings::run(args, talk) }
        }
        Verb::Store(args) => {
            let args = args.under(&file);
            if only_print { print_config(&args.in_force()?) } else { store::run(args, talk) }
        }
        Verb::Watch(args) => {
            let args = args.under(&file);
            if only_print { print_config(&args.in_force()?) } else { watch::run(args, talk) }
        }
        Verb::Flows(args) => {
            let args = args.under(&file);
            if only_print { print_config(&args.in_force()?) } else { flows::run(args, talk) }
        }
        Verb::Train(args) => {
            let args = args.under(&file);
            if only_print { print_config(&args.in_force()?) } else { train::run(args, talk) }
        }
        Verb::Evaluate(args) => {
            let args = args.under(&file);
            if only_print { print_config(&args.in_force()?) } else { evaluate::run(args, talk) }
        }
        Verb::Synth(args) => {
            let args = args.under(&file);
            if only_print { print_config(&args.in_force()?) } else { synth::run(&args, talk) }
        }
    }
}

fn print_config(text: &str) -> anyhow::Result<Status> {
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(Status::Quiet)
}

/// Whoever read our output has gone: that is no error (`trawlwatch … | head`).
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref::<std::io::Error>().is_some_and(|io| io.kind() == std::io::ErrorKind::BrokenPipe)
    })
}

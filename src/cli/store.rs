//! `trawlwatch store`: check, export, shrink, forget.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Subcommand;

use super::options::{ConfigFile, Shared, Sweep};
use super::output::Output;
use super::sweep::{STORE_DEFAULT, key_beside, retention};
use super::talk::Talk;
use super::{Status, options, when};
use crate::population::{SummaryLimits, identity};
use crate::privacy::{Key, Pseudonymiser};
use crate::report::figures::{self, full_time};
use crate::store::{Access, Store};
use crate::units::Address;

/// Look after a store: check it, export it, make it smaller, forget a subscriber
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
    /// The store [default: trawlwatch.db]
    #[arg(long, global = true, value_name = "FILE")]
    store: Option<PathBuf>,
    #[clap(skip)]
    sweep: Sweep,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Read everything, and say what is damaged; brings a store of an earlier version up, after a copy
    Check,
    /// Write everything but the summaries as lines of JSON
    Export {
        /// Write to this file instead of standard output
        #[arg(long, short = 'o', value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Apply retention now, and give free room back to the file system
    Vacuum {
        /// Keep windows as they were made for so long, then by the hour [default: 7d]
        #[arg(long, value_name = "DURATION")]
        keep_windows: Option<String>,
        /// Keep hours for so long, then by the day [default: 92d]
        #[arg(long, value_name = "DURATION")]
        keep_hours: Option<String>,
        /// Keep days for so long; findings stay [default: 731d]
        #[arg(long, value_name = "DURATION")]
        keep_days: Option<String>,
        /// Largest store
        #[arg(long, value_name = "SIZE")]
        size_max: Option<String>,
    },
    /// Erase a subscriber from every window and finding
    Forget {
        /// The subscriber's pseudonym, as findings show it
        #[arg(value_name = "PSEUDONYM", required_unless_present = "address")]
        pseudonym: Option<std::net::IpAddr>,
        /// The subscriber's address instead
        #[arg(long, value_name = "ADDRESS", conflicts_with = "pseudonym")]
        address: Option<std::net::IpAddr>,
        /// The key that pseudonyms are made under [default: STORE.key]
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
    },
}

impl Command {
    /// How long things are kept, as far as it was typed.
    fn retention(&self) -> Sweep {
        let Self::Vacuum { keep_windows, keep_hours, keep_days, size_max } = self else { return Sweep::default() };
        Sweep {
            keep_windows: keep_windows.clone(),
            keep_hours: keep_hours.clone(),
            keep_days: keep_days.clone(),
            size_max: size_max.clone(),
            ..Sweep::default()
        }
    }
}

impl Args {
    /// Lays the configuration file under what was typed.
    pub fn under(self, file: &ConfigFile) -> Self {
        let store = self.store.or(file.sweep.store.clone()).or(Some(PathBuf::from(STORE_DEFAULT)));
        Self { store, sweep: file.sweep.clone(), ..self }
    }

    /// What is in force, as a configuration file: what a store keeps is an option of sweeps.
    pub fn in_force(&self) -> anyhow::Result<String> {
        let sweep = Sweep { store: self.store.clone(), ..self.command.retention().or(self.sweep.clone()) };
        options::in_force(&Shared::default(), "sweep", &sweep)
    }
}

/// Runs the verb.
pub fn run(args: Args, talk: &Talk) -> anyhow::Result<Status> {
    let path = args.store.clone().unwrap_or_else(|| PathBuf::from(STORE_DEFAULT));
    let since = full_time(when::now());
    let access = match &args.command {
        Command::Export { .. } => Access::Read,
        _ => Access::Alone,
    };
    let mut store = Store::open(&path, access, &since)?;
    if let Some(copy) = store.copied_to() {
        talk.note(&format!("{}: an earlier store was brought up; a copy is in {}", path.display(), copy.display()));
    }
    match args.command {
        Command::Check => {
            let checked = store.check()?;
            let mut out = std::io::stdout().lock();
            for problem in &checked.problems {
                writeln!(out, "{problem}")?;
            }
            let counts: Vec<String> = checked.counts.iter().map(|(what, n)| format!("{n} {what}")).collect();
            writeln!(out, "{}: {}, {}", path.display(), counts.join(", "), figures::bytes(checked.bytes))?;
            Ok(if checked.problems.is_empty() { Status::Quiet } else { Status::Damaged })
        }
        Command::Export { output } => {
            let mut out = Output::create(output.as_deref())?;
            store.export(&mut out)?;
            out.finish()?;
            Ok(Status::Quiet)
        }
        command @ Command::Vacuum { .. } => {
            let typed = command.retention();
            let before = store.bytes()?;
            let done = store.retain(&retention(&typed.or(args.sweep))?, &SummaryLimits::default())?;
            store.vacuum()?;
            talk.note(&format!(
                "{} to {}: {} days by the hour now, {} by the day, {} gone",
                figures::bytes(before),
                figures::bytes(store.bytes()?),
                done.to_hours,
                done.to_days,
                done.dropped
            ));
            Ok(Status::Quiet)
        }
        Command::Forget { pseudonym, address, key } => {
            let key_path = key.unwrap_or_else(|| key_beside(&path));
            let key = match key_path.exists() {
                true => Some(Key::from_file(&key_path).with_context(|| "--key")?.0),
                false => None,
            };
            let pseudonymiser = key.as_ref().map(Pseudonymiser::new);
            if let Some(pseudonymiser) = &pseudonymiser {
                store.bind_key(identity::mark(&mut &*pseudonymiser))?;
            }
            let subscriber = |ip: std::net::IpAddr| {
                let mut address = Address::from(ip);
                if !address.is_v4() {
                    address.0[8..].fill(0);
                }
                address
            };
            let (pseudonym, hash) = match (pseudonym, address, &pseudonymiser) {
                (_, Some(real), Some(pseudonymiser)) => {
                    let real = subscriber(real);
                    (pseudonymiser.pseudonym(real), Some(pseudonymiser.hash64(real)))
                }
                (_, Some(_), None) => {
                    bail!(
                        "{}: there is no key, and without it an address has no pseudonym; name it with --key",
                        key_path.display()
                    )
                }
                (Some(pseudonym), None, Some(pseudonymiser)) => {
                    let pseudonym = Address::from(pseudonym);
                    (pseudonym, Some(pseudonymiser.hash64(pseudonymiser.reveal(pseudonym))))
                }
                (Some(pseudonym), None, None) => {
                    talk.warn(
                        "without the key the subscriber's keyed hash stays in small sets; name the key with --key",
                    );
                    (Address::from(pseudonym), None)
                }
                (None, None, _) => bail!("forget: name a pseudonym, or an address with --address"),
            };
            let erased = store.forget(pseudonym, hash)?;
            talk.note(&format!(
                "erased from {} windows and {} records of findings; copies, exports and reports that left the store are not \
                 reached",
                erased.windows, erased.findings
            ));
            Ok(Status::Quiet)
        }
    }
}

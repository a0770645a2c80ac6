//! The register of who may collect what, the populations it protects, and the verdicts on findings.
//! In: a policy file (TOML), findings. Out: populations, transfers, and each finding's [`Verdict`](crate::detect::finding::Verdict).
//! Bounds: a policy file of [`POLICY_BYTES_MAX`] at most.
//! Time: a finding is judged by its own time; only warnings compare with the day on which the file is read, and the caller
//! says which day that is.
//! Not here: how verdicts are printed (`report`), what a population's traffic is (`population`).
//!
//! What was written (`written`) becomes what is meant (the types here) in one place (`meaning`). Nothing that was written is
//! ignored: it is meant, warned about or refused, each by file and line.

pub mod country;
mod in_force;
mod judge;
mod meaning;
pub mod pattern;
pub mod size;
mod written;

use std::io::Read;
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use jiff::civil::Date;

use crate::detect::finding::Technique;
use crate::population::PopulationSpec;
use crate::population::populations::TransferRule;
use crate::units::TimestampNs;

pub use country::Country;
pub use in_force::PolicyInForce;
pub use pattern::CollectorPattern;

/// Largest policy file that is read: some 50,000 entries.
pub const POLICY_BYTES_MAX: u64 = 16 << 20;

/// A policy as it is meant.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Policy {
    populations: Vec<PopulationSpec>,
    entries: Vec<Entry>,
    transfers: Vec<Transfer>,
}

/// An entry of the register: who may collect what.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    name: String,
    collectors: Vec<CollectorPattern>,
    /// None: all of them.
    populations: Option<Vec<String>>,
    /// None: all but those that no contract can allow unnamed.
    techniques: Option<Vec<Technique>>,
    legal_basis: String,
    reference: String,
    expires: Option<TimestampNs>,
    subscriber_day_bytes_max: Option<u64>,
}

impl Entry {
    /// What the entry is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// On which legal basis it stands; empty where the policy names none.
    pub fn legal_basis(&self) -> &str {
        &self.legal_basis
    }

    /// Where the papers are; empty where the policy names none.
    pub fn reference(&self) -> &str {
        &self.reference
    }

    /// From when on it no longer holds: the first moment (UTC) of the day that the policy names.
    pub fn expires(&self) -> Option<TimestampNs> {
        self.expires
    }
}

/// Where the data of a jurisdiction may go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    from: Country,
    allow: Vec<Country>,
    day_bytes_min: u64,
}

impl Transfer {
    /// Whose data.
    pub fn from(&self) -> Country {
        self.from
    }

    /// Whether it may go to that country; its own is always allowed.
    pub fn allows(&self, to: Country) -> bool {
        to == self.from || self.allow.contains(&to)
    }

    /// Bytes a day from which a transfer counts as bulk; zero where the policy names none.
    pub fn day_bytes_min(&self) -> u64 {
        self.day_bytes_min
    }
}

impl Policy {
    /// Reads a policy file. `today` is only for warnings: entries that are over already.
    pub fn load(path: &Path, today: Date) -> Result<(Self, Vec<PolicyWarning>), PolicyError> {
        let world = |source| PolicyError::Read { path: path.to_owned(), source };
        let mut text = String::new();
        let file = std::fs::File::open(path).map_err(world)?;
        let read = file.take(POLICY_BYTES_MAX + 1).read_to_string(&mut text).map_err(world)?;
        if read as u64 > POLICY_BYTES_MAX {
            return Err(PolicyError::Size { path: path.to_owned() });
        }
        Self::parse(&text, &path.display().to_string(), today)
    }

    /// Parses a policy; `name` is the file's name in errors and warnings.
    pub fn parse(text: &str, name: &str, today: Date) -> Result<(Self, Vec<PolicyWarning>), PolicyError> {
        meaning::parse(text, name, today)
    }

    /// The populations, in the order of the file.
    pub fn populations(&self) -> &[PopulationSpec] {
        &self.populations
    }

    /// The register, in the order of the file.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The transfers, in the order of the file; one for each jurisdiction at most.
    pub fn transfers(&self) -> &[Transfer] {
        &self.transfers
    }

    /// The transfers as the population room has them.
    pub fn transfer_rules(&self) -> Vec<TransferRule> {
        let rule = |transfer: &Transfer| TransferRule {
            from: transfer.from.code().to_owned(),
            allow: transfer.allow.iter().map(|country| country.code().to_owned()).collect(),
            day_bytes_min: transfer.day_bytes_min,
        };
        self.transfers.iter().map(rule).collect()
    }

    /// Where data of that jurisdiction may go; none where the policy does not say.
    pub fn transfer_from(&self, from: Country) -> Option<&Transfer> {
        self.transfers.iter().find(|transfer| transfer.from == from)
    }
}

/// Why there is no policy.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// The file cannot be read.
    #[error("policy {}: cannot be read: {source}", .path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file is too large to be a policy.
    #[error("policy {}: larger than {} MiB; is it the right file?", .path.display(), POLICY_BYTES_MAX >> 20)]
    Size {
        /// Which file.
        path: PathBuf,
    },
    /// Something in it is wrong.
    #[error("policy {file}, line {line}: {wrong}")]
    Wrong {
        /// Name of the file.
        file: String,
        /// Line, from 1.
        line: usize,
        /// What is wrong.
        wrong: Wrong,
    },
}

/// What can be wrong in a policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// Not TOML, an unknown key, a missing key, a value of another type.
    #[error("{0}")]
    Form(String),
    /// A name that is empty.
    #[error("the name of this {0} is empty")]
    NoName(&'static str),
    /// Two populations of one name.
    #[error("population {name:?} is already defined in line {first}")]
    PopulationTwice {
        /// The name.
        name: String,
        /// Where it was defined first.
        first: usize,
    },
    /// A list that must hold something.
    #[error("{entry:?} has no {what}")]
    Empty {
        /// Whose list.
        entry: String,
        /// List of what.
        what: &'static str,
    },
    /// Not a prefix.
    #[error("{0:?} is no prefix; wanted: such as \"10.20.0.0/16\" or \"2001:db8:20::/48\"")]
    Prefix(String),
    /// A prefix with bits set beyond its length.
    #[error("{written:?} has bits set beyond its length; did you mean {meant}?")]
    HostBits {
        /// As written.
        written: String,
        /// The prefix that it lies in.
        meant: IpNet,
    },
    /// One prefix in two places.
    #[error("prefix {prefix} already belongs to population {population:?}, line {first}")]
    PrefixTwice {
        /// The prefix.
        prefix: IpNet,
        /// Which population has it.
        population: String,
        /// Where.
        first: usize,
    },
    /// Not an address.
    #[error("{0:?} is no IP address")]
    Address(String),
    /// Not a country.
    #[error("{0:?} is no country code; wanted: two capital letters of ISO 3166-1, such as \"NL\"")]
    Country(String),
    /// Not a collector.
    #[error(
        "{written:?} is no collector: {why}; wanted: a prefix, an address, \"sni:name\", \"sni:*.name\" or \"asn:64500\""
    )]
    Collector {
        /// As written.
        written: String,
        /// Why not.
        why: &'static str,
    },
    /// Not a technique.
    #[error("unknown technique {0:?}; known: {list}", list = Technique::ALL.map(Technique::id).join(", "))]
    Technique(String),
    /// A population that the policy does not define.
    #[error("unknown population {written:?}; defined: {defined}")]
    Population {
        /// As written.
        written: String,
        /// Those that are.
        defined: String,
    },
    /// Not a size.
    #[error("{0:?} is no size; wanted: such as \"2 MiB\", \"100 MB\" or a number of bytes")]
    Size(String),
    /// Not a day.
    #[error("{0:?} is no day; wanted: a date without quotes, such as 2027-01-01")]
    Day(String),
    /// Two transfers from one jurisdiction.
    #[error("transfers from {from} are already described in line {first}")]
    TransferTwice {
        /// Whose.
        from: Country,
        /// Where.
        first: usize,
    },
}

/// Something that is valid and probably not what was wanted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("policy {file}, line {line}: {doubt}")]
pub struct PolicyWarning {
    /// Name of the file.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// What is doubtful.
    pub doubt: Doubt,
}

/// What can be doubtful in a policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    /// The entry holds for older captures only.
    #[error("{entry:?} expired on {day}: it no longer authorises anything captured since")]
    Expired {
        /// Name of the entry.
        entry: String,
        /// The day.
        day: String,
    },
    /// An entry without papers.
    #[error("{entry:?} names no {what}")]
    NoPapers {
        /// Name of the entry.
        entry: String,
        /// What it does not name.
        what: &'static str,
    },
    /// A pattern that excuses almost anyone.
    #[error("{entry:?}: {pattern:?} covers {how_much}")]
    TooWide {
        /// Name of the entry.
        entry: String,
        /// The pattern as written.
        pattern: String,
        /// How much it covers.
        how_much: &'static str,
    },
    /// A transfer rule that no population has a use for.
    #[error("no population has the jurisdiction {from}: this rule never applies")]
    NoSuchJurisdiction {
        /// The jurisdiction.
        from: Country,
    },
}

#[cfg(test)]
mod tests;

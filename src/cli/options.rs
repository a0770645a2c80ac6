//! Options: what was typed, or written in `trawlwatch.toml`, before anyone asks what it means.
//! In: the command line and the configuration file. Out: one value per option; the command line wins over the file, the
//! file over the defaults. Not here: what the values mean (`cli::meant`), which happens at one border only.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::detect::finding::Severity;
use crate::report::exchange::Tlp;
use crate::report::flows::FlowFormat;

/// Declares a group of options: every field is optional, so that groups can be laid over one another.
macro_rules! options {
    ($(#[$meta:meta])* pub struct $name:ident { $($(#[$fmeta:meta])* $field:ident : $ty:ty,)* }) => {
        $(#[$meta])*
        #[derive(clap::Args, Clone, Debug, Default, Serialize, Deserialize)]
        #[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
        pub struct $name {
            $($(#[$fmeta])* #[serde(skip_serializing_if = "Option::is_none")] pub $field: Option<$ty>,)*
        }

        impl $name {
            /// Fills what is not set here from `below`.
            pub fn or(self, below: Self) -> Self {
                Self { $($field: self.$field.or(below.$field),)* }
            }
        }
    };
}

pub(in crate::cli) use options;

options! {
    /// Options of every verb that reads captures.
    pub struct Shared {
        /// Policy: populations, authorised collectors, allowed transfers (TOML)
        #[arg(long, value_name = "FILE", help_heading = "Input")]
        policy: PathBuf,
        /// The protected address space, where no policy names it [default: private address space]
        #[arg(long, value_name = "CIDR", value_delimiter = ',', help_heading = "Input")]
        population: Vec<String>,
        /// Trained model; without one the capture's own bulk is the baseline
        #[arg(long, value_name = "FILE", help_heading = "Input")]
        model: PathBuf,
        /// Country and ASN database in MaxMind format; may be given twice
        #[arg(long, value_name = "FILE.mmdb", help_heading = "Input")]
        geo: Vec<PathBuf>,
        /// Read only packets that this BPF filter matches (pcap-filter(7))
        #[arg(long, value_name = "EXPRESSION", help_heading = "Input")]
        filter: String,
        /// Secret under which subscriber addresses become pseudonyms; made if the file does not exist
        /// [default: derived from the captures themselves]
        #[arg(long, value_name = "FILE", help_heading = "Privacy")]
        key: PathBuf,
        /// Show subscriber addresses in clear; names the key file
        #[arg(long, value_name = "KEYFILE", help_heading = "Privacy", conflicts_with = "key")]
        reveal: PathBuf,
        /// Worker threads [default: one a core, at most 8]
        #[arg(long, value_name = "N", help_heading = "Limits")]
        workers: usize,
        /// Most flows kept at once, over all workers; past it the oldest ends and is counted
        #[arg(long, value_name = "N", help_heading = "Limits")]
        flows_max: usize,
        /// When to use colours
        #[arg(long, value_enum, value_name = "WHEN", help_heading = "Output")]
        color: ColorWhen,
    }
}

options! {
    /// Options of `replay` alone.
    pub struct Replay {
        /// How findings are written
        #[arg(long, value_enum, value_name = "FORMAT", help_heading = "Output")]
        format: FindingFormat,
        /// Write findings to this file instead of standard output
        #[arg(long, short = 'o', value_name = "FILE", help_heading = "Output")]
        output: PathBuf,
        /// Write flow records and features beside the findings (.parquet, .csv or .jsonl)
        #[arg(long, value_name = "FILE", help_heading = "Output")]
        flows: PathBuf,
        /// Leave out findings below this
        #[arg(long, value_enum, value_name = "SEVERITY", help_heading = "Output")]
        min_severity: SeverityWord,
        /// Exit with 1 when a finding at or over this exists; `never` to exit with 0
        #[arg(long, value_enum, value_name = "SEVERITY", help_heading = "Output")]
        fail_on: FailOn,
        /// Length of a window of capture time
        #[arg(long, value_name = "DURATION", help_heading = "Limits")]
        window: String,
        /// Budget of false findings a day of capture that the model may spend
        #[arg(long, value_name = "N", help_heading = "Limits")]
        false_per_day: f64,
    }
}

options! {
    /// What is written beside findings, for people and for other systems; of every verb that reports findings.
    pub struct Papers {
        /// Write a report for people: one self-contained HTML page
        #[arg(long, value_name = "FILE.html", help_heading = "Reports")]
        report: PathBuf,
        /// Write findings as a STIX 2.1 bundle
        #[arg(long, value_name = "FILE.json", help_heading = "Reports")]
        stix: PathBuf,
        /// Write findings as a MISP event
        #[arg(long, value_name = "FILE.json", help_heading = "Reports")]
        misp: PathBuf,
        /// How far reports may be passed on (TLP 2.0) [default: amber]
        #[arg(long, value_enum, value_name = "LEVEL", help_heading = "Reports")]
        tlp: TlpWord,
        /// Write findings as a Parquet table
        #[arg(long, value_name = "FILE.parquet", help_heading = "Reports")]
        findings_table: PathBuf,
        /// Write what each window held, by population and far party, as a Parquet table
        #[arg(long, value_name = "FILE.parquet", help_heading = "Reports")]
        windows_table: PathBuf,
    }
}

options! {
    /// Options of `sweep`; `findings` and `store` take the store from here.
    pub struct Sweep {
        /// The store: what was swept and found before; made where it is missing [default: trawlwatch.db]
        #[arg(long, value_name = "FILE", help_heading = "Store")]
        store: PathBuf,
        /// Keep windows as they were made for so long, then by the hour [default: 7d]
        #[arg(long, value_name = "DURATION", help_heading = "Store")]
        keep_windows: String,
        /// Keep hours for so long, then by the day [default: 92d]
        #[arg(long, value_name = "DURATION", help_heading = "Store")]
        keep_hours: String,
        /// Keep days for so long; findings stay [default: 731d]
        #[arg(long, value_name = "DURATION", help_heading = "Store")]
        keep_days: String,
        /// Largest store; past it the oldest becomes coarser, then goes [default: no limit]
        #[arg(long, value_name = "SIZE", help_heading = "Store")]
        size_max: String,
        /// How findings that are news are written: text is a digest of at most 40 lines
        #[arg(long, value_enum, value_name = "FORMAT", help_heading = "Output")]
        format: FindingFormat,
        /// Write to this file instead of standard output
        #[arg(long, short = 'o', value_name = "FILE", help_heading = "Output")]
        output: PathBuf,
        /// Leave out findings below this
        #[arg(long, value_enum, value_name = "SEVERITY", help_heading = "Output")]
        min_severity: SeverityWord,
        /// Exit with 1 when a finding at or over this is new, has grown or came back; `never` to exit with 0
        #[arg(long, value_enum, value_name = "SEVERITY", help_heading = "Output")]
        fail_on: FailOn,
        /// POST what is news to this address, as JSON; nothing is sent where nothing is news
        #[arg(long, visible_alias = "notify", value_name = "URL", help_heading = "Output")]
        webhook: String,
        /// The sensor that all these captures are of
        #[arg(long, value_name = "NAME", help_heading = "Input")]
        sensor: String,
        /// Take the sensor from the path: `{}` stands for its name, such as '{}/*.pcap'
        #[arg(long, value_name = "PATTERN", conflicts_with = "sensor", help_heading = "Input")]
        sensor_from: String,
        /// Only captures that begin at or after this: a date, a time, `yesterday`, or so long ago (36h)
        #[arg(long, value_name = "TIME", help_heading = "Input")]
        since: String,
        /// Only captures that begin before this
        #[arg(long, value_name = "TIME", help_heading = "Input")]
        until: String,
        /// Follow symbolic links below folders
        #[arg(long, num_args = 0, default_missing_value = "true", help_heading = "Input")]
        follow: bool,
        /// A file that changed less than this ago still grows [default: 10s]
        #[arg(long, value_name = "DURATION", help_heading = "Input")]
        settle: String,
        /// How long files that still grow are waited for before they are left to the next sweep [default: 1m]
        #[arg(long, value_name = "DURATION", help_heading = "Input")]
        wait: String,
        /// Capture time without it after which a finding has ended [default: 1d]
        #[arg(long, value_name = "DURATION", help_heading = "Limits")]
        ended_after: String,
        /// Captures read at once [default: as many as workers, at most 4]
        #[arg(long, value_name = "N", help_heading = "Limits")]
        jobs: usize,
        /// Length of a window of capture time
        #[arg(long, value_name = "DURATION", help_heading = "Limits")]
        window: String,
    }
}

options! {
    /// Options of `flows` alone.
    pub struct Flows {
        /// File format [default: by the name's ending, else csv]
        #[arg(long, value_enum, value_name = "FORMAT", help_heading = "Output")]
        format: FlowFormatWord,
        /// Write to this file instead of standard output (needed for parquet)
        #[arg(long, short = 'o', value_name = "FILE", help_heading = "Output")]
        output: PathBuf,
        /// A row per flow and window of this length; 0 gives one row per flow
        #[arg(long, value_name = "DURATION", help_heading = "Limits")]
        window: String,
    }
}

options! {
    /// Options of `train` alone.
    pub struct Train {
        /// Where the model is written; its card goes beside it
        #[arg(long, short = 'o', value_name = "FILE", help_heading = "Output")]
        output: PathBuf,
        /// Fit nothing: say how far the captures have moved from this model
        #[arg(long, value_name = "MODEL", conflicts_with = "output", help_heading = "Output")]
        against: PathBuf,
        /// Print the kinds of flows and of collectors in words: members, sizes, nearest known service
        #[arg(long, num_args = 0, default_missing_value = "true", help_heading = "Output")]
        explain: bool,
        /// Folder of labelled captures without operations: each is a place of its own, under its own policy
        #[arg(long, value_name = "DIR", help_heading = "Input")]
        labelled: Vec<PathBuf>,
        /// Seed of every random choice
        #[arg(long, value_name = "N", help_heading = "Fit")]
        seed: u64,
        /// Flow codewords to fit
        #[arg(long, value_name = "K", help_heading = "Fit")]
        codewords: usize,
        /// Length of a window of capture time
        #[arg(long, value_name = "DURATION", help_heading = "Limits")]
        window: String,
    }
}

options! {
    /// Options of `evaluate` alone.
    pub struct Evaluate {
        /// How figures are written
        #[arg(long, value_enum, value_name = "FORMAT", help_heading = "Output")]
        format: FigureFormat,
        /// Write figures to this file instead of standard output
        #[arg(long, short = 'o', value_name = "FILE", help_heading = "Output")]
        output: PathBuf,
        /// Also say what each group of profile features and each model brings, beside linfa's other clusterings
        #[arg(long, num_args = 0, default_missing_value = "true", help_heading = "Output")]
        ablation: bool,
        /// Exit with 1 when a technique's recall is below this, 0 to 1
        #[arg(long, value_name = "RECALL", help_heading = "Output")]
        fail_under: f64,
        /// Labels of a capture that lies elsewhere, of a real one for example; may be given several times
        #[arg(long, value_name = "FILE", help_heading = "Input")]
        labels: Vec<PathBuf>,
        /// Seeds for reporting (100-199,300): captures of these and of others are never scored together
        #[arg(long, value_name = "SEEDS", help_heading = "Input")]
        split: String,
        /// Score only captures of this half of the split
        #[arg(long, value_enum, value_name = "HALF", requires = "split", help_heading = "Input")]
        half: HalfWord,
        /// Captures replayed at once [default: one a core]
        #[arg(long, value_name = "N", help_heading = "Limits")]
        jobs: usize,
        /// Length of a window of capture time
        #[arg(long, value_name = "DURATION", help_heading = "Limits")]
        window: String,
    }
}

/// How figures are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FigureFormat {
    /// Tables for people
    Text,
    /// One JSON object
    Json,
    /// A self-contained page with curves
    Html,
}

/// Which half of a split is scored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the words are the option's values")]
pub enum HalfWord {
    Reporting,
    Tuning,
}

/// Traffic Light Protocol 2.0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TlpWord {
    /// No limit
    Clear,
    /// The community
    Green,
    /// The organisation and its clients
    Amber,
    /// The organisation
    #[value(name = "amber+strict")]
    #[serde(rename = "amber+strict")]
    AmberStrict,
    /// The people addressed
    Red,
}

impl From<TlpWord> for Tlp {
    fn from(word: TlpWord) -> Self {
        match word {
            TlpWord::Clear => Self::Clear,
            TlpWord::Green => Self::Green,
            TlpWord::Amber => Self::Amber,
            TlpWord::AmberStrict => Self::AmberStrict,
            TlpWord::Red => Self::Red,
        }
    }
}

/// When colours are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the words are the option's values")]
pub enum ColorWhen {
    Auto,
    Always,
    Never,
}

/// How findings are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingFormat {
    /// A table for people
    Text,
    /// One JSON object a line, EVE's fields and ours under `trawl`
    Json,
    /// One EVE alert a line, within Suricata's schema
    Eve,
}

/// How flow records are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the words are the formats' own names")]
pub enum FlowFormatWord {
    Parquet,
    Csv,
    Json,
}

impl FlowFormatWord {
    /// The format that the word names.
    pub fn meant(self) -> FlowFormat {
        match self {
            Self::Parquet => FlowFormat::Parquet,
            Self::Csv => FlowFormat::Csv,
            Self::Json => FlowFormat::Json,
        }
    }
}

/// A severity as typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the words are the contract's")]
pub enum SeverityWord {
    Info,
    Low,
    Medium,
    High,
    Critical,
}

impl From<SeverityWord> for Severity {
    fn from(word: SeverityWord) -> Self {
        match word {
            SeverityWord::Info => Self::Info,
            SeverityWord::Low => Self::Low,
            SeverityWord::Medium => Self::Medium,
            SeverityWord::High => Self::High,
            SeverityWord::Critical => Self::Critical,
        }
    }
}

/// What makes the exit status 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the words are the contract's")]
pub enum FailOn {
    Info,
    Low,
    Medium,
    High,
    Critical,
    Never,
}

impl FailOn {
    /// The severity from which on the exit status is 1; none for `never`.
    pub fn threshold(self) -> Option<Severity> {
        Some(match self {
            Self::Info => Severity::Info,
            Self::Low => Severity::Low,
            Self::Medium => Severity::Medium,
            Self::High => Severity::High,
            Self::Critical => Severity::Critical,
            Self::Never => return None,
        })
    }
}

/// The configuration file: shared options at the top, those of a verb in its table.
#[derive(Clone, Debug, Default)]
pub struct ConfigFile {
    /// Top-level keys.
    pub shared: Shared,
    /// `[reports]`.
    pub papers: Papers,
    /// `[sweep]`.
    pub sweep: Sweep,
    /// `[replay]`.
    pub replay: Replay,
    /// `[flows]`.
    pub flows: Flows,
    /// `[train]`.
    pub train: Train,
    /// `[evaluate]`.
    pub evaluate: Evaluate,
    /// `[watch]`.
    pub watch: super::watch::options::Watch,
    /// `[findings]`.
    pub findings: super::findings::Findings,
    /// `[synth]`.
    pub synth: super::synth::Synth,
}

/// Why a configuration file was refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("{}: cannot read the configuration: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is not TOML, or holds an unknown key or a value of the wrong type.
    #[error("{}: {message}", .path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// Line, key and cure.
        message: String,
    },
}

impl ConfigFile {
    /// Reads the file at `path`; without one, `trawlwatch.toml` of the current folder where it exists.
    pub fn load(path: Option<&Path>) -> Result<Self, ConfigError> {
        let (path, wanted) = match path {
            Some(path) => (path, true),
            None => (Path::new("trawlwatch.toml"), false),
        };
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&text).map_err(|message| ConfigError::Refused { path: path.to_owned(), message }),
            Err(source) if !wanted && source.kind() == std::io::ErrorKind::NotFound => {
                let _ = source;
                Ok(Self::default())
            }
            Err(source) => Err(ConfigError::Read { path: path.to_owned(), source }),
        }
    }

    fn parse(text: &str) -> Result<Self, String> {
        let mut table: toml::Table = toml::from_str(text).map_err(|e| e.to_string().trim_end().to_owned())?;
        let mut verb = |name: &str| table.remove(name).unwrap_or_else(|| toml::Value::Table(toml::Table::new()));
        let (papers, sweep) = (verb("reports"), verb("sweep"));
        let (replay, flows, train) = (verb("replay"), verb("flows"), verb("train"));
        let (evaluate, watch) = (verb("evaluate"), verb("watch"));
        let (findings, synth) = (verb("findings"), verb("synth"));
        Ok(Self {
            shared: group(toml::Value::Table(table), None, text)?,
            papers: group(papers, Some("reports"), text)?,
            sweep: group(sweep, Some("sweep"), text)?,
            replay: group(replay, Some("replay"), text)?,
            flows: group(flows, Some("flows"), text)?,
            train: group(train, Some("train"), text)?,
            watch: group(watch, Some("watch"), text)?,
            evaluate: group(evaluate, Some("evaluate"), text)?,
            findings: group(findings, Some("findings"), text)?,
            synth: group(synth, Some("synth"), text)?,
        })
    }
}

/// Turns a table into a group of options; an error names the line of the key that it is about.
fn group<T: serde::de::DeserializeOwned>(value: toml::Value, name: Option<&str>, text: &str) -> Result<T, String> {
    value.try_into().map_err(|error: toml::de::Error| {
        let message = error.message().to_owned();
        let place = name.map_or(String::new(), |name| format!(" in [{name}]"));
        let key = message.split('`').nth(1).unwrap_or_default();
        match line_of(text, key) {
            Some(line) => format!("line {line}{place}: {message}"),
            None => format!("{}{message}", if place.is_empty() { String::new() } else { format!("{place}: ") }),
        }
    })
}

fn line_of(text: &str, key: &str) -> Option<usize> {
    if key.is_empty() {
        return None;
    }
    text.lines().position(|line| line.split('=').next().is_some_and(|left| left.trim() == key)).map(|at| at + 1)
}

/// Defaults of the shared options that are values and not behaviour.
pub fn defaults() -> Shared {
    Shared { color: Some(ColorWhen::Auto), ..Shared::default() }
}

/// The options in force as a configuration file: `--print-config` writes what `--config` reads.
pub fn in_force<T: Serialize>(shared: &Shared, verb: &str, options: &T) -> anyhow::Result<String> {
    let mut table = toml::Table::try_from(shared)?;
    table.insert(verb.to_owned(), toml::Value::try_from(options)?);
    Ok(toml::to_string(&table)?)
}

/// The same of a verb that writes papers too.
pub fn in_force_with_papers<T: Serialize>(
    shared: &Shared,
    papers: &Papers,
    verb: &str,
    options: &T,
) -> anyhow::Result<String> {
    let mut table = toml::Table::try_from(shared)?;
    table.insert("reports".to_owned(), toml::Value::try_from(papers)?);
    table.insert(verb.to_owned(), toml::Value::try_from(options)?);
    Ok(toml::to_string(&table)?)
}

/// A length of time as people write it: `90s`, `5m`, `1h`, `1d`, `250ms`; a bare number is seconds.
pub fn parse_duration(text: &str) -> Result<crate::units::DurationNs, String> {
    let refused = || format!("{text:?} is not a length of time; write for example 90s, 5m, 1h or 0");
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().map_err(|_| refused())?;
    let unit_ns: u64 = match text[digits..].trim() {
        "ms" => 1_000_000,
        "" | "s" => 1_000_000_000,
        "m" | "min" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        "d" => 86_400_000_000_000,
        _ => return Err(refused()),
    };
    number.checked_mul(unit_ns).map(crate::units::DurationNs).ok_or_else(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, ns) in [
            ("0", Some(0)),
            ("90s", Some(90_000_000_000)),
            ("5m", Some(300_000_000_000)),
            ("1h", Some(3_600_000_000_000)),
            ("250ms", Some(250_000_000)),
            ("x", None),
            ("5y", None),
            ("99999999999999999999", None),
            ("", None),
            ("999999999999d", None),
        ] {
            assert_eq!(parse_duration(text).ok().map(|d| d.0), ns, "{text}");
        }
    }

    #[test]
    fn a_file_is_read_by_tables_and_unknown_keys_are_named_with_their_line() {
        let file = ConfigFile::parse("workers = 2\n[replay]\nformat = \"json\"\n").expect("a good file");
        assert_eq!(file.shared.workers, Some(2));
        assert_eq!(file.replay.format, Some(FindingFormat::Json));
        for (text, wanted) in [
            ("workers = 2\ncolour = 1\n", "line 2: unknown field `colour`"),
            ("[replay]\nformatt = 1\n", "line 2 in [replay]: unknown field `formatt`"),
            ("workers = \"two\"\n", "invalid type"),
            ("workers = \n", "TOML parse error"),
        ] {
            let refused = ConfigFile::parse(text).expect_err(text);
            assert!(refused.contains(wanted), "{text:?}: {refused}");
        }
    }
}

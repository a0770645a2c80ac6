//! Finding: one technique, by one collector, on one population, over a span of windows.
//! In: what a detector knows. Out: the record of CONTRACT.md that every report renders.
//! Not here: how it looks (`report`), whether it is allowed (`policy` fills `verdict`).

use super::kept::Word;
use super::words;
use crate::population::span::Seen;
use crate::units::{Address, TimestampNs};

/// The closed list of techniques; ids never change meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "each is described in the contract and in README.md")]
pub enum Technique {
    PopulationFanIn,
    ShadowUpload,
    BulkExfiltration,
    RecordScraping,
    TrafficMirroring,
    TapCorrelation,
    PacketInjection,
    TlsInterception,
    DnsHijack,
    DnsTunnel,
    BeaconingImplant,
    CrossBorderTransfer,
    UnattributedCluster,
}

impl Technique {
    /// All of them, in the contract's order.
    pub const ALL: [Self; 13] = [
        Self::PopulationFanIn,
        Self::ShadowUpload,
        Self::BulkExfiltration,
        Self::RecordScraping,
        Self::TrafficMirroring,
        Self::TapCorrelation,
        Self::PacketInjection,
        Self::TlsInterception,
        Self::DnsHijack,
        Self::DnsTunnel,
        Self::BeaconingImplant,
        Self::CrossBorderTransfer,
        Self::UnattributedCluster,
    ];

    /// The id in every output.
    pub fn id(self) -> &'static str {
        match self {
            Self::PopulationFanIn => "population-fan-in",
            Self::ShadowUpload => "shadow-upload",
            Self::BulkExfiltration => "bulk-exfiltration",
            Self::RecordScraping => "record-scraping",
            Self::TrafficMirroring => "traffic-mirroring",
            Self::TapCorrelation => "tap-correlation",
            Self::PacketInjection => "packet-injection",
            Self::TlsInterception => "tls-interception",
            Self::DnsHijack => "dns-hijack",
            Self::DnsTunnel => "dns-tunnel",
            Self::BeaconingImplant => "beaconing-implant",
            Self::CrossBorderTransfer => "cross-border-transfer",
            Self::UnattributedCluster => "unattributed-cluster",
        }
    }

    /// The seed principles of the initiative that it touches.
    pub fn principles(self) -> &'static [u8] {
        match self {
            Self::PopulationFanIn => &[3, 8],
            Self::ShadowUpload => &[3, 7],
            Self::BulkExfiltration => &[2],
            Self::RecordScraping => &[3, 5],
            Self::TrafficMirroring | Self::TapCorrelation | Self::PacketInjection | Self::DnsHijack => &[3],
            Self::TlsInterception => &[3, 7],
            Self::DnsTunnel => &[2, 7],
            Self::BeaconingImplant => &[7],
            Self::CrossBorderTransfer => &[4, 5],
            Self::UnattributedCluster => &[3],
        }
    }

    /// `alert.signature_id`: 9100001 for the first technique, in the contract's order.
    pub fn signature_id(self) -> u32 {
        9_100_001 + self as u32
    }
}

impl std::str::FromStr for Technique {
    type Err = UnknownTechnique;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|t| t.id() == text).ok_or_else(|| UnknownTechnique(text.to_owned()))
    }
}

/// A technique id that is not in the closed list.
#[derive(Debug, thiserror::Error)]
#[error("unknown technique {0:?}; known: {list}", list = Technique::ALL.map(Technique::id).join(", "))]
pub struct UnknownTechnique(pub String);

/// How bad, worst last. `Critical` is reserved for proof in the packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the words are the contract's")]
pub enum Severity {
    Info,
    Low,
    Medium,
    High,
    Critical,
}

impl Severity {
    /// The word in every output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// EVE's `alert.severity`: 1 is worst.
    pub fn eve(self) -> u8 {
        match self {
            Self::Critical | Self::High => 1,
            Self::Medium => 2,
            Self::Low => 3,
            Self::Info => 4,
        }
    }
}

/// Who receives.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct CollectorIdentity {
    /// What stays the same when the same collector is found again: the finding's id is a hash over it. A prefix, a name or
    /// `AS64500`, by the level at which the detector found it. Where empty, the sorted addresses stand for it.
    pub collector_key: String,
    /// Its addresses, sorted; never pseudonymised.
    pub addresses: Vec<Address>,
    /// Its ports, most used first.
    pub ports: Vec<u16>,
    /// Prefix in CIDR form, /24 or /48.
    pub prefix: Option<String>,
    /// Autonomous system, where `--geo` knows it.
    pub asn: Option<u32>,
    /// ISO 3166-1 country, where `--geo` knows it.
    pub country: Option<String>,
    /// Registrable domains or server names, most used first.
    pub names: Vec<String>,
}

/// Whose data.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct PopulationShare {
    /// Name from the policy.
    pub name: String,
    /// The population's prefixes in CIDR form; the first one is EVE's `src_ip`.
    pub prefixes: Vec<String>,
    /// Distinct subscribers in the finding.
    pub subscribers: u64,
    /// Their share of the subscribers active in the span, 0 to 1.
    #[serde(with = "super::kept::number")]
    pub coverage: f64,
    /// Up to five pseudonyms of subscribers (already pseudonymous: `privacy` alone can reveal them).
    pub sample: Vec<Address>,
}

/// One measured reason.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Evidence {
    /// Name of the feature.
    #[serde(deserialize_with = "super::kept::word")]
    pub feature: Word,
    /// What was measured.
    pub value: EvidenceValue,
    /// Its unit.
    #[serde(deserialize_with = "super::kept::word")]
    pub unit: Word,
    /// Median of the baseline; none where there is nothing to compare with.
    pub baseline_median: Option<f64>,
    /// 99th percentile of the baseline.
    pub baseline_p99: Option<f64>,
    /// Its share in the score, 0 to 1.
    #[serde(with = "super::kept::number")]
    pub weight: f64,
}

/// A number, or a text such as a pair of frame numbers.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub enum EvidenceValue {
    /// A number in the evidence's unit.
    Number(#[serde(with = "super::kept::number")] f64),
    /// Words.
    Text(String),
}

/// What the register says of a finding.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Verdict {
    /// No entry covers it.
    #[default]
    Unregistered,
    /// An entry allows it: kept at `info`.
    Authorised {
        /// `name` of the entry.
        name: String,
        /// `reference` of the entry.
        reference: String,
    },
    /// An entry would allow it, but … : severity stays, and the reason is said.
    Refused {
        /// `name` of the entry.
        name: String,
        /// `reference` of the entry.
        reference: String,
        /// Why not: "expired on 2026-01-01", "3.1 MiB a subscriber and day, limit 2 MiB".
        reason: String,
    },
}

/// One finding. A store keeps it in the form that serde gives it: a field that comes later needs a default there.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Finding {
    /// The technique.
    pub technique: Technique,
    /// How bad, after the register has spoken.
    pub severity: Severity,
    /// 0 to 1, how strongly the evidence speaks.
    #[serde(with = "super::kept::number")]
    pub score: f64,
    /// Probability of a score like this among benign traffic.
    #[serde(with = "super::kept::number")]
    pub p_value: f64,
    /// Who.
    pub collector: CollectorIdentity,
    /// Whose.
    pub population: PopulationShare,
    /// First packet that belongs to it.
    pub start: TimestampNs,
    /// Last packet that belongs to it.
    pub end: TimestampNs,
    /// Transport protocol name as EVE has it: TCP, UDP, …
    #[serde(deserialize_with = "super::kept::word")]
    pub proto: Word,
    /// Application protocol as EVE has it.
    #[serde(deserialize_with = "super::kept::word_or_none")]
    pub app_proto: Option<Word>,
    /// Community ID of the flow that shows it best; only where a finding is one flow's.
    pub community_id: Option<String>,
    /// Flows.
    pub flows: u64,
    /// Packets.
    pub packets: u64,
    /// Payload bytes from the population.
    pub bytes_up: u64,
    /// Payload bytes to the population.
    pub bytes_down: u64,
    /// Days of the span, at least one: what limits per day are held against.
    #[serde(with = "super::kept::number")]
    pub days: f64,
    /// Reasons, weightiest first.
    pub evidence: Vec<Evidence>,
    /// What the register says.
    pub verdict: Verdict,
    /// One sentence: `alert.signature`.
    pub headline: String,
    /// A few plain sentences that a duty officer can act on.
    pub explanation: String,
}

impl Finding {
    /// One of which only technique, parties and times are known: it says nothing yet, at `info`, of no flow.
    pub fn blank(technique: Technique, collector: CollectorIdentity, population: PopulationShare, seen: Seen) -> Self {
        Self {
            technique,
            severity: Severity::Info,
            score: 0.0,
            p_value: 1.0,
            collector,
            population,
            start: seen.first,
            end: seen.last,
            proto: "IP",
            app_proto: None,
            community_id: None,
            flows: 0,
            packets: 0,
            bytes_up: 0,
            bytes_down: 0,
            days: words::days(seen.first, seen.last),
            evidence: Vec::new(),
            verdict: Verdict::Unregistered,
            headline: String::new(),
            explanation: String::new(),
        }
    }
}

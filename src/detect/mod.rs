//! Summaries in, findings out: one file per technique; one register.
//! In: a summary of a window, an hour or a day, and what is known besides. Out: findings, folded over time.
//! Bounds: those of the summaries, and of the ledger. Not here: whether a finding is allowed (`policy`).

pub mod analyst;
pub mod beaconing;
pub mod border;
pub mod counts;
pub mod dns_hijack;
pub mod dns_tunnel;
pub mod documented;
pub mod exfiltration;
pub mod fan_in;
pub mod finding;
pub mod in_step;
pub mod injection;
pub mod interception;
pub mod kept;
pub mod ledger;
pub mod levels;
pub mod looks;
pub mod memory;
pub mod mirroring;
pub mod names;
pub mod ports;
pub mod register;
pub mod rhythm;
pub mod scene;
pub mod scraping;
pub mod series;
pub mod shadow;
pub mod steady;
pub mod tap;
pub mod unattributed;
pub mod united;
pub mod weigh;
pub mod words;

use finding::{Finding, Technique};
use scene::Scene;

/// One technique and how it is looked for.
#[derive(Debug)]
pub struct Detector {
    /// The technique.
    pub technique: Technique,
    /// Appends what it finds in the scene.
    pub detect: fn(&Scene<'_>, &mut Vec<Finding>),
}

/// Every technique that this build looks for, in the contract's order.
pub const DETECTORS: &[Detector] = &[
    Detector { technique: Technique::PopulationFanIn, detect: fan_in::detect },
    Detector { technique: Technique::ShadowUpload, detect: shadow::detect },
    Detector { technique: Technique::BulkExfiltration, detect: exfiltration::detect },
    Detector { technique: Technique::RecordScraping, detect: scraping::detect },
    Detector { technique: Technique::TrafficMirroring, detect: mirroring::detect },
    Detector { technique: Technique::TapCorrelation, detect: tap::detect },
    Detector { technique: Technique::PacketInjection, detect: injection::detect },
    Detector { technique: Technique::TlsInterception, detect: interception::detect },
    Detector { technique: Technique::DnsHijack, detect: dns_hijack::detect },
    Detector { technique: Technique::DnsTunnel, detect: dns_tunnel::detect },
    Detector { technique: Technique::CrossBorderTransfer, detect: border::detect },
    Detector { technique: Technique::BeaconingImplant, detect: beaconing::detect },
    // Last: it looks at what the others found.
    Detector { technique: Technique::UnattributedCluster, detect: unattributed::detect },
];

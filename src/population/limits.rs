//! Limits: how large a summary may grow, and what was hit.
//! Not here: bounds that never change (they stand beside the sketches that they bound).

use serde::{Deserialize, Serialize};

/// Most entries of each table of a summary. Each is at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SummaryLimits {
    /// Collectors over all populations.
    pub collectors_max: usize,
    /// Registrable domains over all populations.
    pub domains_max: usize,
    /// Pairs of subscriber and collector.
    pub pairs_max: usize,
    /// Subscribers with totals of their own.
    pub subscribers_max: usize,
    /// Tunnels.
    pub carriers_max: usize,
    /// Flow exports.
    pub exports_max: usize,
    /// Pairs of server prefix and contested payload.
    pub injections_max: usize,
    /// Answered addresses that are remembered with their names.
    pub answers_max: usize,
    /// Resolvers.
    pub resolvers_max: usize,
    /// Names that are remembered with their answers.
    pub answered_max: usize,
    /// Registrable domains that were asked for.
    pub zones_max: usize,
    /// Identities of TLS servers.
    pub servers_max: usize,
    /// Questions to TLS servers that are remembered with the hellos that answered them.
    pub hellos_max: usize,
    /// Texts: names, domains, fingerprints, issuers.
    pub texts_max: usize,
}

impl Default for SummaryLimits {
    fn default() -> Self {
        Self {
            collectors_max: 32_768,
            domains_max: 8_192,
            // The most there are of anything, 184 and 320 bytes each with their keys, and an index at most half full.
            pairs_max: 229_376,
            subscribers_max: 57_344,
            carriers_max: 1024,
            exports_max: 1024,
            injections_max: 4096,
            answers_max: 65_536,
            resolvers_max: 4096,
            answered_max: 16_384,
            zones_max: 16_384,
            servers_max: 8192,
            hellos_max: 16_384,
            texts_max: 65_536,
        }
    }
}

impl SummaryLimits {
    /// Greatest size of [`Summary::to_bytes`](super::Summary::to_bytes) after [`Summary::bound`](super::Summary::bound),
    /// in bytes, whatever the traffic: each table's limit times the greatest form of its entry, and what is there once.
    /// With the defaults 6.3 GB, which only traffic reaches that fills every bin and slot of 32,768 collectors with four
    /// services each and sixteen followed subscribers a service.
    pub fn bytes_max(&self, populations: usize) -> usize {
        use super::binary::form;
        let tables = [
            (self.collectors_max, form::COLLECTOR_BYTES),
            (self.domains_max, form::DOMAIN_BYTES),
            (self.pairs_max, form::PAIR_BYTES),
            (self.subscribers_max, form::SUBSCRIBER_BYTES),
            (self.carriers_max, form::carrier_bytes(populations)),
            (self.exports_max, form::export_bytes(populations)),
            (self.injections_max, form::INJECTION_BYTES),
            (self.answers_max, form::ANSWER_BYTES),
            (self.resolvers_max, form::RESOLVER_BYTES),
            (self.answered_max, form::ANSWERED_BYTES),
            (self.zones_max, form::ZONE_BYTES),
            (self.servers_max, form::SERVER_BYTES),
            (self.hellos_max, form::QUESTION_BYTES),
            (self.texts_max, form::TEXT_BYTES),
            (populations, form::POPULATION_BYTES),
            (1, form::ONCE_BYTES),
        ];
        tables.iter().fold(0, |sum, (most, bytes)| sum.saturating_add(most.saturating_mul(*bytes)))
    }
}

/// How often each limit made something give way. Any that is not zero lowers the confidence in what the summary says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each is named after its limit in SummaryLimits")]
pub struct LimitHits {
    pub collectors: u64,
    pub domains: u64,
    pub pairs: u64,
    pub subscribers: u64,
    pub carriers: u64,
    pub exports: u64,
    pub injections: u64,
    pub conflicts: u64,
    pub answers: u64,
    pub resolvers: u64,
    pub answered: u64,
    pub zones: u64,
    pub servers: u64,
    pub hellos: u64,
    pub forgeries: u64,
    pub texts: u64,
    pub served: u64,
    pub streams: u64,
}

impl LimitHits {
    /// Each hit with its name, for reports.
    pub fn named(&self) -> [(&'static str, u64); 18] {
        [
            ("collectors", self.collectors),
            ("domains", self.domains),
            ("pairs", self.pairs),
            ("subscribers", self.subscribers),
            ("carriers", self.carriers),
            ("exports", self.exports),
            ("injections", self.injections),
            ("conflicts", self.conflicts),
            ("answers", self.answers),
            ("resolvers", self.resolvers),
            ("answered", self.answered),
            ("zones", self.zones),
            ("servers", self.servers),
            ("hellos", self.hellos),
            ("forgeries", self.forgeries),
            ("texts", self.texts),
            ("served", self.served),
            ("streams", self.streams),
        ]
    }

    /// Whether any limit was hit.
    pub fn any(&self) -> bool {
        self.named().iter().any(|(_, hits)| *hits > 0)
    }
}

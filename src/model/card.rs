//! The card: what a model was fitted on, how, how well, and what it is not good for. It travels inside the model file and
//! stands beside it as Markdown.

use std::fmt;

use serde::{Deserialize, Serialize};

/// See the file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Card {
    /// What it was fitted on, in the words of whoever fitted it.
    pub created_from: String,
    /// Version of the program that fitted it.
    pub program: String,
    /// The seed of everything random.
    pub seed: u64,
    /// Flow rows offered.
    pub flow_rows_offered: u64,
    /// Flow rows used.
    pub flow_rows_used: u64,
    /// Collector profiles offered.
    pub profile_rows_offered: u64,
    /// Collector profiles used.
    pub profile_rows_used: u64,
    /// Of those, held back for calibration.
    pub profile_rows_held_back: u64,
    /// Names of the flow features, in order.
    pub flow_features: Vec<String>,
    /// Names of the profile features, in order.
    pub profile_features: Vec<String>,
    /// Figures: name and value.
    pub figures: Vec<(String, f64)>,
    /// What it is not good for.
    pub limits: Vec<String>,
    /// Kinds of flows.
    pub codewords: Vec<Cluster>,
    /// Kinds of collectors, for windows, hours and days.
    pub clusters: Vec<Cluster>,
}

/// One kind of flows or of collectors.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cluster {
    /// What it is a kind of: `flow`, or a collector by `window`, `hour` or `day`.
    pub of: String,
    /// Its number: a codeword, or `trawl`'s cluster.
    pub number: u16,
    /// Rows of the sample that belong to it.
    pub members: u64,
    /// Their share of the sample, 0 to 1.
    pub share: f64,
    /// What it is like: sizes, and what tells it from the others.
    pub words: String,
    /// The commonest services among its members, with their shares.
    pub services: String,
}

impl Card {
    /// The clusters in words, one a line, the largest first.
    pub fn explained(&self) -> String {
        let mut clusters: Vec<&Cluster> = self.codewords.iter().chain(&self.clusters).collect();
        let kind = |of: &str| ["flow", "window", "hour", "day"].iter().position(|kind| *kind == of);
        clusters.sort_by_key(|one| (kind(&one.of), std::cmp::Reverse(one.members), one.number));
        let line = |one: &Cluster| {
            let of = if one.of == "flow" { "flows".to_owned() } else { format!("collectors by {}", one.of) };
            format!(
                "{of} #{}: {} ({:.1} %), mostly {}: {}\n",
                one.number,
                one.members,
                100.0 * one.share,
                if one.services.is_empty() { "unknown" } else { &one.services },
                one.words
            )
        };
        clusters.into_iter().map(line).collect()
    }
}

impl fmt::Display for Card {
    /// As Markdown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "# Model card\n")?;
        writeln!(f, "Created from: {}  ", self.created_from)?;
        writeln!(f, "Created by: trawlwatch {}, seed {}\n", self.program, self.seed)?;
        writeln!(f, "| rows | offered | used |\n| --- | --- | --- |")?;
        writeln!(f, "| flows | {} | {} |", self.flow_rows_offered, self.flow_rows_used)?;
        writeln!(f, "| collector profiles | {} | {} |\n", self.profile_rows_offered, self.profile_rows_used)?;
        writeln!(f, "Of the profiles, {} were held back for calibration.\n", self.profile_rows_held_back)?;
        writeln!(f, "## Figures\n\n| figure | value |\n| --- | --- |")?;
        for (name, value) in &self.figures {
            writeln!(f, "| {name} | {value:.4} |")?;
        }
        writeln!(f, "\n## Limits\n")?;
        for limit in &self.limits {
            writeln!(f, "- {limit}")?;
        }
        writeln!(f, "\n## Kinds of flows and of collectors\n\n| of | number | members | share | mostly | like |")?;
        writeln!(f, "| --- | --- | --- | --- | --- | --- |")?;
        for one in self.codewords.iter().chain(&self.clusters) {
            let Cluster { of, number, members, share, words, services } = one;
            writeln!(f, "| {of} | {number} | {members} | {share:.3} | {services} | {words} |")?;
        }
        writeln!(f, "\n## Features\n\nFlows: {}.\n", self.flow_features.join(", "))?;
        writeln!(f, "Profiles: {}.", self.profile_features.join(", "))
    }
}

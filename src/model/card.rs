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
    /// Codewords: rows of the sample, and the features in which they lie farthest out, in ordinary deviations.
    pub codewords: Vec<(u64, String)>,
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
        writeln!(
            f,
            "\n## Codewords\n\n| codeword | rows | farthest out, in ordinary deviations |\n| --- | --- | --- |"
        )?;
        for (i, (rows, words)) in self.codewords.iter().enumerate() {
            writeln!(f, "| {i} | {rows} | {words} |")?;
        }
        writeln!(f, "\n## Features\n\nFlows: {}.\n", self.flow_features.join(", "))?;
        writeln!(f, "Profiles: {}.", self.profile_features.join(", "))
    }
}

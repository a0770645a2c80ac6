//! Scoring against labels: which operations were found, which findings were false, at which rate.
//! In: labels of captures and the findings of their replays. Out: an [`Evaluation`], as text, JSON or a page.
//! Time: the captures' own. Not here: the replay itself (`cli::evaluate` runs it).

pub mod ablation;
pub mod baselines;
pub mod evaluation;
pub mod interval;
pub mod judged;
pub mod labels;
pub mod page;
pub mod ranking;
pub mod score;
pub mod split;
pub mod text;

pub use evaluation::Evaluation;
pub use judged::{Found, Judged};
pub use labels::{Labels, LabelsError};

#[cfg(test)]
mod tests;

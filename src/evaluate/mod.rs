//! Scoring against labels: which operations were found, which findings were false, at which rate.
//! In: labels of a capture and the findings of its replay. Out: figures per technique.
//! Time: the captures' own. Not here: the replay itself (`cli::evaluate` runs it).

pub mod labels;
pub mod score;

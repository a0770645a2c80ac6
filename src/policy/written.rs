//! A policy as it is written, before anything of it is believed.
//! In: TOML. Out: fields with their places. Unknown keys are refused here; everything else by `meaning`.

use serde::Deserialize;
use toml::Spanned;
use toml::value::Datetime;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenPolicy {
    #[serde(default)]
    pub population: Vec<WrittenPopulation>,
    #[serde(default)]
    pub authorised: Vec<WrittenEntry>,
    #[serde(default)]
    pub transfer: Vec<WrittenTransfer>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenPopulation {
    pub name: Spanned<String>,
    pub prefixes: Vec<Spanned<String>>,
    pub jurisdiction: Option<Spanned<String>>,
    #[serde(default)]
    pub resolvers: Vec<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenEntry {
    pub name: Spanned<String>,
    pub collectors: Vec<Spanned<String>>,
    pub populations: Option<Vec<Spanned<String>>>,
    pub techniques: Option<Vec<Spanned<String>>>,
    #[serde(default)]
    pub legal_basis: String,
    #[serde(default)]
    pub reference: String,
    pub expires: Option<Spanned<Datetime>>,
    pub max_bytes_per_subscriber_per_day: Option<Spanned<WrittenSize>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenTransfer {
    pub from: Spanned<String>,
    pub allow: Vec<Spanned<String>>,
    pub min_bytes_per_day: Option<Spanned<WrittenSize>>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "wanted: a number of bytes, or a text such as \"2 MiB\"")]
pub(super) enum WrittenSize {
    Bytes(i64),
    Text(String),
}

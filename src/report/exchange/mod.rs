//! Exchange: findings for other systems: STIX 2.1 and MISP.
//! In: judged findings. Out: one JSON document that its standard's own readers take. Subscribers stand in neither: both are
//! made to be passed on, so they hold counts and no pseudonym.
//! Bounds: one document in memory, some kilobytes a finding.

mod ids;
pub mod misp;
pub mod stix;

/// Traffic Light Protocol 2.0 (FIRST, 2022): how far a document may be passed on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tlp {
    /// No limit.
    Clear,
    /// The community.
    Green,
    /// The organisation and its clients.
    #[default]
    Amber,
    /// The organisation.
    AmberStrict,
    /// The people addressed.
    Red,
}

impl Tlp {
    /// All, from open to closed, by their names on the command line.
    pub const ALL: [(&'static str, Self); 5] = [
        ("clear", Self::Clear),
        ("green", Self::Green),
        ("amber", Self::Amber),
        ("amber+strict", Self::AmberStrict),
        ("red", Self::Red),
    ];

    /// As the protocol writes it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Clear => "TLP:CLEAR",
            Self::Green => "TLP:GREEN",
            Self::Amber => "TLP:AMBER",
            Self::AmberStrict => "TLP:AMBER+STRICT",
            Self::Red => "TLP:RED",
        }
    }

    /// The level of that name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, tlp)| *tlp)
    }
}

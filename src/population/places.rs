//! Places: which country and autonomous system an outside address belongs to.
//! In: databases in MaxMind's format, country and ASN in one or in two files. Out: what they know of an address.
//! Bounds: the files are read whole once; a damaged one is refused at start. Not here: what follows from a place (`policy`).

use std::path::{Path, PathBuf};

use maxminddb::Reader;
use serde::Deserialize;

use crate::units::Address;

/// What is known of where an address is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Autonomous system number.
    pub asn: Option<u32>,
    /// ISO 3166-1 alpha-2 code.
    pub country: Option<String>,
}

/// The databases, in the order given; the first that knows a thing says it.
#[derive(Debug, Default)]
pub struct Places {
    databases: Vec<Reader<Vec<u8>>>,
}

/// Why a database was refused.
#[derive(Debug, thiserror::Error)]
pub enum PlacesError {
    /// The file could not be read.
    #[error("{}: cannot read the country and ASN database: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is not a sound database.
    #[error("{}: not a database in MaxMind format ({reason}); --geo takes an .mmdb file such as a country or ASN \
        database", .path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

#[derive(Deserialize)]
struct Record<'a> {
    autonomous_system_number: Option<SystemNumber>,
    #[serde(borrow)]
    country: Option<Country<'a>>,
    #[serde(borrow)]
    registered_country: Option<Country<'a>>,
}

#[derive(Deserialize)]
struct Country<'a> {
    iso_code: Option<&'a str>,
}

/// Number of a system. Databases differ in how wide they write it; one that is no number of a system says nothing.
struct SystemNumber(Option<u32>);

impl<'de> Deserialize<'de> for SystemNumber {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyWidth;
        impl serde::de::Visitor<'_> for AnyWidth {
            type Value = SystemNumber;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("the number of an autonomous system")
            }

            fn visit_u64<E>(self, number: u64) -> Result<SystemNumber, E> {
                Ok(SystemNumber(u32::try_from(number).ok()))
            }

            fn visit_i64<E>(self, number: i64) -> Result<SystemNumber, E> {
                Ok(SystemNumber(u32::try_from(number).ok()))
            }

            fn visit_str<E>(self, text: &str) -> Result<SystemNumber, E> {
                Ok(SystemNumber(text.trim_start_matches("AS").parse().ok()))
            }
        }
        deserializer.deserialize_any(AnyWidth)
    }
}

impl Places {
    /// Opens every database.
    pub fn open(paths: &[PathBuf]) -> Result<Self, PlacesError> {
        let databases = paths.iter().map(|path| open_one(path)).collect::<Result<_, _>>()?;
        Ok(Self { databases })
    }

    /// Databases that are in memory already; the error says what is wrong with the first bad one.
    pub fn from_bytes(databases: Vec<Vec<u8>>) -> Result<Self, String> {
        let sound = databases.into_iter().map(|bytes| Reader::from_source(bytes).map_err(|error| error.to_string()));
        Ok(Self { databases: sound.collect::<Result<_, _>>()? })
    }

    /// Whether there is any database.
    pub fn is_empty(&self) -> bool {
        self.databases.is_empty()
    }

    /// What the databases know of `address`.
    pub fn of(&self, address: Address) -> Place {
        let mut place = Place::default();
        for database in &self.databases {
            // A record that cannot be decoded is a record that says nothing.
            let Ok(Some(record)) = database.lookup(address.to_ip()).and_then(|found| found.decode::<Record<'_>>())
            else {
                continue;
            };
            place.asn = place.asn.or(record.autonomous_system_number.and_then(|number| number.0));
            let code = |country: Option<Country<'_>>| country.and_then(|c| c.iso_code).map(str::to_owned);
            place.country = place.country.or_else(|| code(record.country)).or_else(|| code(record.registered_country));
        }
        place
    }
}

fn open_one(path: &Path) -> Result<Reader<Vec<u8>>, PlacesError> {
    let bytes = std::fs::read(path).map_err(|source| PlacesError::Read { path: path.to_owned(), source })?;
    let refused =
        |error: maxminddb::MaxMindDbError| PlacesError::Refused { path: path.to_owned(), reason: error.to_string() };
    // The whole tree is not verified: that takes seconds on a large database, and a bad record says nothing at look-up.
    Reader::from_source(bytes).map_err(refused)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A database of one record for 0.0.0.0/1, written by hand after the MaxMind DB format specification 2.0.
    pub(crate) fn database() -> Vec<u8> {
        let text = |s: &str| [&[0x40 | s.len() as u8][..], s.as_bytes()].concat();
        let map = |n: u8| vec![0xe0 | n];
        let mut bytes = vec![0, 0, 17, 0, 0, 1]; // one node of 24-bit records: left → data at 0, right → nothing
        bytes.extend([0; 16]);
        let data = [
            map(2),
            text("autonomous_system_number"),
            vec![0xc2, 0xfb, 0xf4],
            text("country"),
            map(1),
            text("iso_code"),
            text("NL"),
        ]
        .concat();
        bytes.extend(data);
        bytes.extend(b"\xab\xcd\xefMaxMind.com");
        let number = |n: u8| vec![0xa1, n];
        bytes.extend(
            [map(9), text("node_count"), vec![0xc1, 1], text("record_size"), number(24), text("ip_version"), number(4)]
                .concat(),
        );
        bytes.extend(
            [
                text("database_type"),
                text("Test"),
                text("languages"),
                vec![0x00, 0x04],
                text("binary_format_major_version"),
                number(2),
            ]
            .concat(),
        );
        bytes.extend(
            [
                text("binary_format_minor_version"),
                number(0),
                text("build_epoch"),
                vec![0x01, 0x02, 1],
                text("description"),
                map(1),
                text("en"),
                text("Test"),
            ]
            .concat(),
        );
        bytes
    }

    #[test]
    fn a_system_s_number_is_read_however_wide_it_is_written() {
        let written: [&[u8]; 3] = [&[0xc2, 0xfb, 0xf4], &[0xa2, 0xfb, 0xf4], b"\x47AS64500"];
        for number in written {
            let mut bytes = database();
            let at = bytes.windows(3).position(|three| three == written[0]).expect("the database's own number");
            bytes.splice(at..at + 3, number.iter().copied());
            let places = Places::from_bytes(vec![bytes]).expect("sound");
            let wanted = Place { asn: Some(64500), country: Some("NL".to_owned()) };
            assert_eq!(places.of(Address::v4([1, 2, 3, 4])), wanted, "{number:02x?}");
        }
    }

    #[test]
    fn a_record_is_found_and_a_damaged_file_refused() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let (good, bad) = (dir.path().join("good.mmdb"), dir.path().join("bad.mmdb"));
        std::fs::write(&good, database()).expect("written");
        std::fs::write(&bad, b"not a database").expect("written");
        let places = Places::open(std::slice::from_ref(&good)).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(places.of(Address::v4([1, 2, 3, 4])), Place { asn: Some(64500), country: Some("NL".to_owned()) });
        assert_eq!(places.of(Address::v4([200, 2, 3, 4])), Place::default());
        let refused = Places::open(&[good, bad.clone()]).expect_err("refused").to_string();
        assert!(refused.starts_with(&bad.display().to_string()) && refused.contains("--geo"), "{refused}");
        assert!(Places::open(&[dir.path().join("none.mmdb")]).is_err());
    }
}

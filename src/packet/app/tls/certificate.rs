//! Certificate: who a server says it is, and who vouches for it.
//! In: the DER of a leaf certificate. Out: [`CertificateFacts`], or none where `x509-parser` refuses it.
//! Bounds: names and counts of `facts`; the DER is at most what a handshake message may hold. Not here: whether it is valid.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};
use x509_parser::der_parser::asn1_rs::Tag;
use x509_parser::prelude::*;

use crate::packet::app::names;
use crate::packet::facts::{CERT_NAMES_MAX, CertificateFacts, NAME_BYTES_MAX};

/// Reads a leaf certificate.
pub(super) fn read(der: &[u8]) -> Option<CertificateFacts> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let hash = |bytes: &[u8]| super::first_u64(&Sha256::digest(bytes));
    Some(CertificateFacts {
        issuer: rfc4514(certificate.issuer()),
        subject: rfc4514(certificate.subject()),
        names: subject_names(&certificate),
        key_hash: hash(certificate.public_key().raw),
        issuer_hash: hash(certificate.issuer().as_raw()),
        valid_from_s: u64::try_from(certificate.validity().not_before.timestamp()).unwrap_or(0),
    })
}

/// DNS names of the subject alternative name, else the common name.
fn subject_names(certificate: &X509Certificate<'_>) -> Vec<Box<str>> {
    let alternative = certificate.subject_alternative_name().ok().flatten();
    let mut found: Vec<Box<str>> = alternative
        .iter()
        .flat_map(|extension| &extension.value.general_names)
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => names::host_name(name.as_bytes()),
            _ => None,
        })
        .take(CERT_NAMES_MAX)
        .collect();
    if found.is_empty() {
        let common = certificate.subject().iter_common_name().next();
        found.extend(common.and_then(|attribute| names::host_name(attribute.attr_value().data)));
    }
    found
}

/// A distinguished name as RFC 4514 writes it: last relative name first, so that the most specific stands in front.
fn rfc4514(name: &X509Name<'_>) -> Box<str> {
    let mut text = String::new();
    let relative: Vec<_> = name.iter_rdn().collect();
    for rdn in relative.iter().rev() {
        for (number, attribute) in rdn.iter().enumerate() {
            if !text.is_empty() {
                text.push(if number == 0 { ',' } else { '+' });
            }
            push_attribute(&mut text, attribute);
            if text.len() > NAME_BYTES_MAX {
                return bounded(text);
            }
        }
    }
    bounded(text)
}

fn push_attribute(text: &mut String, attribute: &AttributeTypeAndValue<'_>) {
    let oid = attribute.attr_type().to_id_string();
    text.push_str(short_name(&oid).unwrap_or(&oid));
    text.push('=');
    let value = attribute.attr_value();
    match attribute.as_str() {
        Ok(value) => push_value(text, value.chars()),
        Err(_) if value.header.tag() == Tag::BmpString => {
            let units = value.data.chunks_exact(2).map(|u| u16::from_be_bytes([u[0], u[1]]));
            push_value(text, char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)));
        }
        // T.61 strings hold Latin-1 in practice; so is shown what has no sound form.
        Err(_) => push_value(text, value.data.iter().map(|byte| char::from(*byte))),
    }
}

/// The short names of RFC 4514 section 3, and those that certificates use besides.
fn short_name(oid: &str) -> Option<&'static str> {
    Some(match oid {
        "2.5.4.3" => "CN",
        "2.5.4.4" => "SN",
        "2.5.4.5" => "serialNumber",
        "2.5.4.6" => "C",
        "2.5.4.7" => "L",
        "2.5.4.8" => "ST",
        "2.5.4.9" => "STREET",
        "2.5.4.10" => "O",
        "2.5.4.11" => "OU",
        "2.5.4.12" => "title",
        "2.5.4.15" => "businessCategory",
        "2.5.4.17" => "postalCode",
        "2.5.4.41" => "name",
        "2.5.4.42" => "GN",
        "2.5.4.97" => "organizationIdentifier",
        "0.9.2342.19200300.100.1.1" => "UID",
        "0.9.2342.19200300.100.1.25" => "DC",
        "1.2.840.113549.1.9.1" => "emailAddress",
        "1.3.6.1.4.1.311.60.2.1.1" => "jurisdictionL",
        "1.3.6.1.4.1.311.60.2.1.2" => "jurisdictionST",
        "1.3.6.1.4.1.311.60.2.1.3" => "jurisdictionC",
        _ => return None,
    })
}

/// A value with RFC 4514's escapes; what is not printable ASCII becomes its UTF-8 bytes as `\NN` (section 2.4).
fn push_value(text: &mut String, value: impl Iterator<Item = char>) {
    let mut value = value.take(NAME_BYTES_MAX).peekable();
    let mut first = true;
    while let Some(character) = value.next() {
        let at_edge = first || value.peek().is_none();
        match character {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => {
                text.push('\\');
                text.push(character);
            }
            '#' if first => text.push_str("\\#"),
            ' ' if at_edge => text.push_str("\\ "),
            ' '..='~' => text.push(character),
            _ => {
                let mut utf8 = [0; 4];
                for byte in character.encode_utf8(&mut utf8).bytes() {
                    let _ = write!(text, "\\{byte:02x}");
                }
            }
        }
        first = false;
    }
}

fn bounded(mut text: String) -> Box<str> {
    text.truncate(NAME_BYTES_MAX);
    text.into_boxed_str()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::packet::app::tests::samples::{CERTIFICATE, hex};

    #[test]
    fn values_are_escaped_as_the_rfc_says() {
        let table = [
            ("plain", "plain"),
            ("a, b", "a\\, b"),
            (" edge ", "\\ edge\\ "),
            ("#1", "\\#1"),
            ("1#", "1#"),
            ("caf\u{e9}", "caf\\c3\\a9"),
            ("tab\t", "tab\\09"),
        ];
        for (value, wanted) in table {
            let mut text = String::new();
            push_value(&mut text, value.chars());
            assert_eq!(text, wanted, "{value:?}");
        }
    }

    #[test]
    fn no_cut_of_a_certificate_panics() {
        let der = hex(CERTIFICATE);
        assert!(read(&der).is_some());
        for end in 0..der.len() {
            assert!(read(&der[..end]).is_none(), "cut at {end}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_give_bounded_printable_facts(
            flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        ) {
            let mut der = hex(CERTIFICATE);
            for (at, byte) in flips {
                let place = at.index(der.len());
                der[place] = byte;
            }
            if let Some(facts) = read(&der) {
                for text in [&facts.issuer, &facts.subject].into_iter().chain(&facts.names) {
                    prop_assert!(text.len() <= NAME_BYTES_MAX && text.bytes().all(|b| (0x20..0x7f).contains(&b)));
                }
                prop_assert!(facts.names.len() <= CERT_NAMES_MAX);
            }
        }
    }
}

//! X.509 certificates (RFC 5280) in DER: what a TLS 1.2 server shows of itself.
//! In: names and dice. Out: a leaf and its issuer's certificate with an ECDSA key (P-256) each. Well formed and with the right
//! names, but signed by nobody: key and signature are random numbers, which no passive observer can tell from real ones.

use super::prefixed;
use crate::synth::dice::Dice;

const OID_EC_KEY: &[u8] = &[0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const OID_P256: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const OID_ECDSA_SHA256: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
const OID_COUNTRY: &[u8] = &[0x06, 0x03, 0x55, 0x04, 0x06];
const OID_ORGANISATION: &[u8] = &[0x06, 0x03, 0x55, 0x04, 0x0a];
const OID_COMMON_NAME: &[u8] = &[0x06, 0x03, 0x55, 0x04, 0x03];
const OID_SUBJECT_ALT_NAME: &[u8] = &[0x06, 0x03, 0x55, 0x1d, 0x11];
const OID_BASIC_CONSTRAINTS: &[u8] = &[0x06, 0x03, 0x55, 0x1d, 0x13];
const OID_KEY_USAGE: &[u8] = &[0x06, 0x03, 0x55, 0x1d, 0x0f];
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;

/// An issuer of certificates.
#[derive(Clone, Debug)]
pub(crate) struct Issuer {
    country: &'static str,
    organisation: &'static str,
    name: &'static str,
    certificate: Vec<u8>,
}

impl Issuer {
    pub(crate) fn new(country: &'static str, organisation: &'static str, name: &'static str, dice: &mut Dice) -> Self {
        let mut issuer = Self { country, organisation, name, certificate: Vec::new() };
        let root = Self { name: "Example Root X1", ..issuer.clone() };
        let own = Subject::Authority(&issuer);
        issuer.certificate = certificate(&root, &own, dice);
        issuer
    }

    /// The leaf for these names, and this issuer's own certificate behind it.
    pub(crate) fn chain(&self, names: &[String], dice: &mut Dice) -> [Vec<u8>; 2] {
        [certificate(self, &Subject::Server(names), dice), self.certificate.clone()]
    }

    fn write_name(&self, out: &mut Vec<u8>) {
        tagged(SEQUENCE, out, |out| {
            write_attribute(OID_COUNTRY, 0x13, self.country, out);
            write_attribute(OID_ORGANISATION, 0x0c, self.organisation, out);
            write_attribute(OID_COMMON_NAME, 0x0c, self.name, out);
        });
    }
}

enum Subject<'a> {
    Server(&'a [String]),
    Authority(&'a Issuer),
}

fn certificate(issuer: &Issuer, subject: &Subject, dice: &mut Dice) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    tagged(SEQUENCE, &mut out, |out| {
        write_signed_part(issuer, subject, dice, out);
        tagged(SEQUENCE, out, |out| out.extend(OID_ECDSA_SHA256));
        tagged(0x03, out, |out| {
            out.push(0);
            tagged(SEQUENCE, out, |out| {
                write_integer(dice, out);
                write_integer(dice, out);
            });
        });
    });
    out
}

fn write_signed_part(issuer: &Issuer, subject: &Subject, dice: &mut Dice, out: &mut Vec<u8>) {
    tagged(SEQUENCE, out, |out| {
        out.extend([0xa0, 0x03, 0x02, 0x01, 0x02]); // version 3
        tagged(0x02, out, |out| {
            out.push(0x04); // positive, no leading zero
            out.extend(dice.bytes::<15>());
        });
        tagged(SEQUENCE, out, |out| out.extend(OID_ECDSA_SHA256));
        issuer.write_name(out);
        tagged(SEQUENCE, out, |out| {
            tagged(0x17, out, |out| out.extend(b"260115000000Z"));
            tagged(0x17, out, |out| out.extend(b"260415235959Z"));
        });
        match subject {
            Subject::Server(names) => tagged(SEQUENCE, out, |out| {
                write_attribute(OID_COMMON_NAME, 0x0c, names.first().map_or("", String::as_str), out);
            }),
            Subject::Authority(authority) => authority.write_name(out),
        }
        tagged(SEQUENCE, out, |out| {
            tagged(SEQUENCE, out, |out| out.extend([OID_EC_KEY, OID_P256].concat()));
            tagged(0x03, out, |out| {
                out.extend([0, 0x04]); // uncompressed point
                out.extend(dice.bytes::<64>());
            });
        });
        tagged(0xa3, out, |out| tagged(SEQUENCE, out, |out| write_extensions(subject, out)));
    });
}

fn write_extensions(subject: &Subject, out: &mut Vec<u8>) {
    match subject {
        Subject::Server(names) => {
            write_extension(OID_KEY_USAGE, out, |out| out.extend([0x03, 0x02, 0x07, 0x80]));
            write_extension(OID_SUBJECT_ALT_NAME, out, |out| {
                tagged(SEQUENCE, out, |out| {
                    for name in *names {
                        tagged(0x82, out, |out| out.extend(name.as_bytes()));
                    }
                });
            });
        }
        Subject::Authority(_) => {
            write_extension(OID_KEY_USAGE, out, |out| out.extend([0x03, 0x02, 0x01, 0x06]));
            write_extension(OID_BASIC_CONSTRAINTS, out, |out| out.extend([0x30, 0x03, 0x01, 0x01, 0xff]));
        }
    }
}

fn write_extension(oid: &[u8], out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    tagged(SEQUENCE, out, |out| {
        out.extend(oid);
        tagged(0x04, out, body);
    });
}

fn write_attribute(oid: &[u8], kind: u8, text: &str, out: &mut Vec<u8>) {
    tagged(SET, out, |out| {
        tagged(SEQUENCE, out, |out| {
            out.extend(oid);
            tagged(kind, out, |out| out.extend(text.as_bytes()));
        });
    });
}

fn write_integer(dice: &mut Dice, out: &mut Vec<u8>) {
    tagged(0x02, out, |out| {
        out.push(0x41); // positive, no leading zero
        out.extend(dice.bytes::<31>());
    });
}

/// Tag, length in its shortest form, content.
fn tagged(tag: u8, out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    let mut content = Vec::new();
    body(&mut content);
    out.push(tag);
    match content.len() {
        short @ 0..=0x7f => out.push(short as u8),
        long @ 0x80..=0xff => out.extend([0x81, long as u8]),
        long => out.extend([0x82, (long >> 8) as u8, long as u8]),
    }
    out.extend(content);
}

/// The Certificate message's body (RFC 5246 section 7.4.2) for a chain.
pub(crate) fn write_chain(chain: &[Vec<u8>], out: &mut Vec<u8>) {
    prefixed(out, 3, |out| {
        for certificate in chain {
            prefixed(out, 3, |out| out.extend(certificate));
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synth::dice::Seeds;
    use x509_parser::prelude::*;

    #[test]
    fn chains_parse_with_their_names() {
        let mut dice = Seeds::new(1).dice("certificate", 0);
        let issuer = Issuer::new("NL", "Example Trust", "Example Trust R3", &mut dice);
        let names: Vec<String> = (0..40).map(|i| format!("www{i}.a-rather-long-name.example")).collect();
        for count in [1, 2, 40] {
            for der in issuer.chain(&names[..count], &mut dice) {
                let (rest, parsed) = X509Certificate::from_der(&der).unwrap_or_else(|e| panic!("{count}: {e}"));
                assert!(rest.is_empty() && parsed.subject().to_string().len() > 3, "{count}");
            }
        }
        let [leaf, _] = issuer.chain(&names[..2], &mut dice);
        let (_, leaf) = X509Certificate::from_der(&leaf).expect("a leaf");
        assert_eq!(leaf.issuer().to_string(), "C=NL, O=Example Trust, CN=Example Trust R3");
        let alt = leaf.subject_alternative_name().expect("well formed").expect("there");
        assert_eq!(alt.value.general_names.len(), 2);
    }
}

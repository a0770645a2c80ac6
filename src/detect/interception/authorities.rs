//! Authorities: issuers that everybody's devices trust, and one among them that nobody knows.
//! In: the issuers of a scene with their names. Out: whether an issuer is a public authority, and whether this traffic is of the kind in
//! which one that is none is a stranger.
//! A duty officer who sees one private issuer behind the names of a dozen unrelated owners, between Let's Encrypt and DigiCert, need not
//! wait for a rival: no owner but the one in the path has a reason to buy there. Whoever calls itself by a public authority's name is
//! told by its key, which stands in many certificates, or by its hello, and not by the company it keeps.
//! Source: owners in the Common CA Database (ccadb.org: included certificates of Mozilla, Microsoft, Apple and Chrome), 2026, and names
//! under which their older certificates go on.
//! Bounds: none of its own. A network whose honest issuers are mostly others says nothing here.

use super::identities::{Identity, issuer_name};
use crate::detect::scene::Scene;
use crate::population::servers::ServerSummary;
use crate::population::texts::TextId;

/// Words by which an organisation or a common name is known, in lower case.
const PUBLIC: &[&str] = &[
    "let's encrypt",
    "internet security research group",
    "digicert",
    "sectigo",
    "comodo",
    "usertrust",
    "zerossl",
    "globalsign",
    "google trust services",
    "amazon",
    "microsoft",
    "apple",
    "entrust",
    "affirmtrust",
    "godaddy",
    "go daddy",
    "starfield technologies",
    "identrust",
    "ssl.com",
    "ssl corp",
    "buypass",
    "actalis",
    "certum",
    "asseco",
    "unizeto",
    "harica",
    "hellenic academic",
    "quovadis",
    "swisssign",
    "wisekey",
    "oiste",
    "t-systems",
    "telesec",
    "deutsche telekom",
    "d-trust",
    "certigna",
    "dhimyotis",
    "certinomis",
    "camerfirma",
    "izenpe",
    "fnmt",
    "anf autoridad",
    "firmaprofesional",
    "accv",
    "microsec",
    "netlock",
    "disig",
    "secom",
    "cybertrust",
    "jprs",
    "japan registry services",
    "twca",
    "taiwan-ca",
    "chunghwa telecom",
    "cfca",
    "china financial certification",
    "wotrus",
    "wosign",
    "trustasia",
    "itruschina",
    "gdca",
    "guangdong certificate authority",
    "bjca",
    "unitrust",
    "sheca",
    "emudhra",
    "emsign",
    "naver",
    "kamu sertifikasyon",
    "e-tugra",
    "trustwave",
    "securetrust",
    "viking cloud",
    "gandi",
    "geant",
    "terena",
    "internet2",
    "incommon",
    "cpanel",
    "network solutions",
    "atos",
    "siemens",
    "thawte",
    "geotrust",
    "rapidssl",
    "verisign",
    "symantec",
    "cloudflare",
    "baltimore",
    "kpn",
    "staat der nederlanden",
    "digidentity",
    "luxtrust",
    "multicert",
    "krajowa izba",
    "sk id solutions",
    "certsign",
    "trans sped",
    "telia",
    "sonera",
    "commfides",
    "hongkong post",
    "tuntrust",
    "certicamara",
    "certainly",
    "nazwa.pl",
    "home.pl",
];
/// Public authorities, and their share of the domains that other issuers answer for, from which on one that is none is a stranger.
const PUBLIC_MIN: usize = 3;
const PUBLIC_SHARE_MIN: f64 = 0.7;
/// Letters of a domain's first label below which an issuer's name holds it by chance.
const OWN_LABEL_MIN: usize = 5;

/// Whether an issuer (RFC 4514) calls itself by a public authority's name: its organisation, else its common name.
pub(super) fn is_public(issuer: &str) -> bool {
    let lower = issuer.to_lowercase();
    let values = |key: &'static str| lower.split(',').filter_map(move |part| part.trim().strip_prefix(key));
    let is_known = |value: &str| PUBLIC.iter().any(|known| value.contains(known));
    values("o=").any(is_known) || values("o=").next().is_none() && values("cn=").any(is_known)
}

/// Whether an issuer bears the name of one whose domains it answers for: a company that certifies its own, under many names and in many
/// places.
pub(super) fn is_owners(scene: &Scene<'_>, issuer: &str, server: &ServerSummary) -> bool {
    let issuer = issuer.to_lowercase();
    let own = |domain: &str| {
        let label = domain.split('.').next().unwrap_or_default();
        label.len() >= OWN_LABEL_MIN && issuer.contains(label)
    };
    server.domain_sample.iter().any(|id| domain_of(scene, id).is_some_and(own))
}

/// A domain that the span or the hour before it knows.
fn domain_of<'a>(scene: &Scene<'a>, id: TextId) -> Option<&'a str> {
    scene.summary.texts.of(id).or_else(|| scene.hour_before()?.texts.of(id))
}

/// Whether nearly all that others answer for in this traffic is public authorities'.
pub(super) fn are_mostly_public(scene: &Scene<'_>, issuers: &[&Identity<'_>], but: usize) -> bool {
    let others = issuers.iter().enumerate().filter(|(at, _)| *at != but);
    let (mut public, mut domains, mut all) = (0, 0.0, 0.0);
    for (_, one) in others {
        let estimate = one.server.domains.estimate();
        all += estimate;
        if issuer_name(scene, one.key.id).is_some_and(is_public) {
            (public, domains) = (public + 1, domains + estimate);
        }
    }
    public >= PUBLIC_MIN && domains >= PUBLIC_SHARE_MIN * all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_public_says_so_in_its_organisation() {
        for (issuer, wanted) in [
            ("CN=E8,O=Let's Encrypt,C=US", true),
            ("CN=WE2,O=Google Trust Services,C=US", true),
            ("C=US, O=DigiCert Inc, CN=DigiCert TLS RSA SHA256 2020 CA1", true),
            ("CN=Go Daddy Secure Certificate Authority - G2", true),
            ("CN=DigiCert Global Root G2,O=Willowbeam Regional Trust,C=KZ", false),
            ("CN=Home Rowanlane Shield Issuing CA 02", false),
            ("CN=Qaznet Trust Network,O=ISCA,C=KZ", false),
            ("", false),
        ] {
            assert_eq!(is_public(issuer), wanted, "{issuer}");
        }
    }
}

//! Stores: records that a stranger has poured out of a database.
//! In: a group of parties and what one host sends it. Out: whether the party began it, at the port of a database, and asks next to nothing
//! for what it gets: a copy of all of it, as a replica or a dump takes. A site is visited by strangers too; a database is not.
//! What is asked record by record is `record-scraping`'s.

use super::Sent;
use crate::detect::scene::{Group, service_of};
use crate::population::collector::ServiceAt;

/// Ports of databases and of what searches in them (IANA): Microsoft SQL Server, Oracle, MySQL, PostgreSQL, CouchDB, Redis,
/// Cassandra, Elasticsearch, Memcached, MongoDB.
const DATABASES: [u16; 10] = [1433, 1521, 3306, 5432, 5984, 6379, 9042, 9200, 11211, 27017];
/// Bytes given for each that is asked with, from which on nothing is asked record by record.
const GIVEN_FOR_ASKED_MIN: f64 = 30.0;

/// Whether a database answers at a port of an IP protocol.
pub(in crate::detect) fn is_database(protocol: u8, port: u16) -> bool {
    protocol == 6 && DATABASES.contains(&port)
}

/// See the file's header.
pub(super) fn is_poured_out(group: &Group<'_>, sent: &Sent) -> bool {
    let is_store = service_of(&group.whole)
        .is_some_and(|service| service.at == ServiceAt::Subscriber && is_database(service.protocol, service.port));
    is_store && sent.up as f64 >= GIVEN_FOR_ASKED_MIN * sent.down as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_answers_over_tcp() {
        assert_eq!(
            [(6, 3306), (17, 11_211), (6, 443)].map(|(protocol, port)| is_database(protocol, port)),
            [true, false, false]
        );
    }
}

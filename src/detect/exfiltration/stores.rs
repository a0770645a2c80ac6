//! Stores: records that a stranger has poured out of a database.
//! In: a group of parties and what one host sends it. Out: whether the party began it, at the port of a database, and asks next to nothing
//! for what it gets: a copy of all of it, as a replica or a dump takes. A site is visited by strangers too; a database is not.
//! What is asked record by record is `record-scraping`'s.

use super::Sent;
use crate::detect::ports::is_database;
use crate::detect::scene::{Group, service_of};
use crate::population::collector::ServiceAt;

/// Bytes given for each that is asked with, from which on nothing is asked record by record.
const GIVEN_FOR_ASKED_MIN: f64 = 30.0;

/// See the file's header.
pub(super) fn is_poured_out(group: &Group<'_>, sent: &Sent) -> bool {
    let is_store = service_of(&group.whole)
        .is_some_and(|service| service.at == ServiceAt::Subscriber && is_database(service.protocol, service.port));
    is_store && sent.up as f64 >= GIVEN_FOR_ASKED_MIN * sent.down as f64
}

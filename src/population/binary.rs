//! Binary form: a summary as bytes, and back.
//! In: a summary. Out: magic, version, length, checksum, then the body (postcard). Equal summaries give equal bytes on
//! every machine.
//! Bounds: [`SummaryLimits::bytes_max`](super::SummaryLimits::bytes_max) for a bounded summary; reading takes no more memory
//! than the bytes are worth. The checksum guards against damage, not against malice.

use std::hash::Hasher;

use siphasher::sip::SipHasher13;

use super::summary::Summary;

/// What every summary begins with.
pub const MAGIC: [u8; 8] = *b"TRAWLSUM";
/// Version of the body; raised whenever its layout changes.
pub const VERSION: u16 = 12;

/// Magic, version, body length, checksum.
const HEADER_BYTES: usize = 8 + 2 + 8 + 8;

/// Why bytes were refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BinaryError {
    /// They are something else.
    #[error("not a summary: it begins with {found:02x?}, a summary begins with {MAGIC:02x?}")]
    Magic {
        /// The first bytes, at most 8.
        found: Vec<u8>,
    },
    /// Another build wrote them.
    #[error("a summary of version {found}, this build reads version {VERSION}; make it again from its capture")]
    Version {
        /// The version found.
        found: u16,
    },
    /// The end is missing, or there is more than one summary.
    #[error("a summary of {wanted} bytes, but {found} are there; copy it again")]
    Length {
        /// Bytes that the header promises after itself.
        wanted: u64,
        /// Bytes that follow it.
        found: u64,
    },
    /// A byte was changed.
    #[error("the summary's checksum is {found:016x}, its bytes have {computed:016x}; copy it again")]
    Checksum {
        /// In the header.
        found: u64,
        /// Of the body.
        computed: u64,
    },
    /// The checksum holds, and still it is no summary.
    #[error("the summary's body cannot be read ({reason}); make it again from its capture")]
    Body {
        /// What is wrong.
        reason: String,
    },
}

impl Summary {
    /// The binary form.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend([0; 16]);
        let mut bytes = postcard::to_extend(self, bytes).expect("writing to memory cannot fail");
        let body = &bytes[HEADER_BYTES..];
        let (length, sum) = (body.len() as u64, checksum(body));
        bytes[10..18].copy_from_slice(&length.to_le_bytes());
        bytes[18..26].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// A summary from its binary form.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BinaryError> {
        let Some(rest) = bytes.strip_prefix(&MAGIC) else {
            return Err(BinaryError::Magic { found: bytes[..bytes.len().min(MAGIC.len())].to_vec() });
        };
        let short = BinaryError::Length { wanted: HEADER_BYTES as u64, found: bytes.len() as u64 };
        let Some((version, rest)) = rest.split_first_chunk::<2>() else { return Err(short) };
        let found = u16::from_le_bytes(*version);
        if found != VERSION {
            return Err(BinaryError::Version { found });
        }
        let Some((length, rest)) = rest.split_first_chunk::<8>() else { return Err(short) };
        let Some((sum, body)) = rest.split_first_chunk::<8>() else { return Err(short) };
        let (wanted, found) = (u64::from_le_bytes(*length), body.len() as u64);
        if wanted != found {
            return Err(BinaryError::Length { wanted, found });
        }
        let (found, computed) = (u64::from_le_bytes(*sum), checksum(body));
        if found != computed {
            return Err(BinaryError::Checksum { found, computed });
        }
        let refused = |reason: &str| BinaryError::Body { reason: reason.to_owned() };
        let (summary, rest) = postcard::take_from_bytes::<Self>(body).map_err(|error| refused(&error.to_string()))?;
        match (rest.is_empty(), summary.is_ordered()) {
            (true, true) => Ok(summary),
            (false, _) => Err(refused("bytes are left over")),
            (_, false) => Err(refused("a list is out of order")),
        }
    }
}

fn checksum(body: &[u8]) -> u64 {
    let mut hasher = SipHasher13::new_with_key(b"trawl summary v1");
    hasher.write(body);
    hasher.finish()
}

/// Greatest sizes of the parts, in bytes: each field at the length of its longest varint.
pub(super) mod form {
    use crate::population::answered::GIVEN_KEPT;
    use crate::population::carrier::{CARRIER_SAMPLE, NATIVE_SAMPLE};
    use crate::population::collector::CODEWORDS_MAX;
    use crate::population::earliest::RECORDS_KEPT;
    use crate::population::facet::{ADDRESSES_MAX, FOLLOWED_MAX, FOLLOWED_SLOTS, SERVICES_MAX};
    use crate::population::hellos::{HELLOS_KEPT, PLACES_KEPT, TOLD_KEPT};
    use crate::population::pace::{BUSY_MAX, PACE_SLOTS_MAX, STREAMS_MAX};
    use crate::population::pair::ACTIVITY_SLOTS;
    use crate::population::served::SERVED_MAX;
    use crate::population::servers::{ADDRESSES_KEPT, MEMBERS_KEPT, NAMES_COUNTED};
    use crate::population::sketch::distinct::BYTES_MAX as DISTINCT;
    use crate::population::span::SLOTS_MAX;
    use crate::population::summary::WINDOWS_MAX;
    use crate::population::texts::TEXT_BYTES_MAX;
    use crate::population::zones::NAMES_SAMPLED;

    /// Longest varint of 64 bits, of 32, of 16.
    const LONG: usize = 10;
    const WORD: usize = 5;
    const SHORT: usize = 3;
    const ADDRESS: usize = 16;
    /// Variant, population, address.
    const PARTY: usize = 1 + SHORT + ADDRESS;
    const TOTALS: usize = 10 * LONG;
    const SEEN: usize = 2 * LONG;
    /// Eight members of a small set, the length and the others.
    const SET: usize = 1 + 8 * 2 * LONG + LONG;
    const SERIES: usize = SHORT + (SLOTS_MAX as usize) * (3 * LONG + WORD) + 1 + 2 * LONG + WORD;
    const fn histogram(bits: usize) -> usize {
        SHORT + ((65 - bits) << bits) * (SHORT + WORD)
    }

    /// Three histograms of sizes and times, one of gaps up to 2²⁷ ms, nine small sets.
    pub const COLLECTOR_BYTES: usize = SHORT
        + ADDRESS
        + TOTALS
        + SEEN
        + DISTINCT
        + 5 * LONG
        + 3 * histogram(2)
        + (SHORT + (28 - 3) * 16 * (SHORT + WORD))
        + 3 * 2 * LONG
        + 9 * SET
        + SHORT
        + CODEWORDS_MAX as usize * (SHORT + WORD)
        + LONG
        + SERIES
        + FOLLOWED_MAX * (LONG + ADDRESS + timeline(FOLLOWED_SLOTS))
        + 1
        + SERVICES_MAX * (8 + FACET);
    /// Level, length, and a slot of four words.
    const fn timeline(slots: usize) -> usize {
        1 + SHORT + slots * 4 * WORD
    }
    const FACET: usize = TOTALS
        + SEEN
        + DISTINCT
        + LONG
        + 2 * histogram(2)
        + 1
        + FOLLOWED_MAX * (LONG + ADDRESS + timeline(FOLLOWED_SLOTS));
    pub const DOMAIN_BYTES: usize = SHORT + LONG + FACET + SET + SHORT + ADDRESSES_MAX * (LONG + ADDRESS);
    pub const PAIR_BYTES: usize = SHORT + 2 * ADDRESS + TOTALS + 2 * SEEN + 4 * LONG;
    pub const SUBSCRIBER_BYTES: usize = SHORT + ADDRESS + TOTALS + SEEN + DISTINCT + timeline(ACTIVITY_SLOTS);
    pub const INJECTION_BYTES: usize = PARTY + LONG + LONG + DISTINCT;
    pub const ANSWER_BYTES: usize = PARTY + SET + DISTINCT;
    pub const RESOLVER_BYTES: usize = PARTY + 4 * LONG + SET + DISTINCT;
    /// Rank, resolver, address, bearing.
    pub const ANSWERED_BYTES: usize = SHORT + LONG + SHORT + GIVEN_KEPT * (LONG + 2 * PARTY + 1) + LONG;
    /// Hash, length, form, asker, shared, within; then eight askers and eight resolvers.
    pub const ZONE_BYTES: usize = SHORT
        + LONG
        + 9 * LONG
        + (SHORT + NAMES_SAMPLED * (LONG + SHORT + 1 + ADDRESS + 2))
        + DISTINCT
        + (SHORT + 8 * (ADDRESS + PARTY))
        + SHORT
        + SET
        + SEEN;
    /// Two samples of 64 hashes and three of names, members and addresses.
    pub const SERVER_BYTES: usize = SHORT
        + 1
        + LONG
        + 2 * LONG
        + DISTINCT
        + (SHORT + MEMBERS_KEPT * (ADDRESS + LONG))
        + 2 * (SHORT + 64 * LONG)
        + 3 * (SHORT + NAMES_COUNTED * LONG)
        + 2 * SHORT
        + ADDRESSES_KEPT * ADDRESS
        + SEEN;
    /// Population, name, network, offer, domain, places; then fingerprint, version, rows, subscribers and times of each hello.
    pub const QUESTION_BYTES: usize = SHORT
        + LONG
        + ADDRESS
        + LONG
        + (1 + LONG)
        + (SHORT + PLACES_KEPT * ADDRESS)
        + (SHORT + HELLOS_KEPT * (LONG + SHORT + LONG + SHORT + TOLD_KEPT * (LONG + ADDRESS) + SEEN));
    /// Two versions of four numbers, some ten numbers more and a name.
    const FORGERY_BYTES: usize = 2 * 4 * LONG + PARTY + ADDRESS + 10 * LONG + SHORT + TEXT_BYTES_MAX;
    pub const TEXT_BYTES: usize = LONG + SHORT + TEXT_BYTES_MAX + 1 + LONG;
    pub const POPULATION_BYTES: usize = SHORT + TOTALS + 2 * DISTINCT + SERIES + SHORT + PACE;
    /// A version has five numbers, a record some fifteen more and a Community ID.
    const CONFLICT_BYTES: usize = 2 * 5 * LONG + PARTY + ADDRESS + 12 * LONG + 40;
    /// Three histograms fewer than a collector, of finer bins.
    const SERVED_BYTES: usize = 2 * SHORT + 1 + 2 * ADDRESS + TOTALS + SEEN + 3 * LONG + 2 * histogram(4) + SET;
    const PACE: usize = SHORT + PACE_SLOTS_MAX * 3 * LONG;
    const PACES: usize =
        STREAMS_MAX * (PARTY + ADDRESS + PACE + 7 * LONG + SET) + BUSY_MAX * (SHORT + ADDRESS + PACE + LONG);
    /// Services, paces, and what is there once.
    pub const ONCE_BYTES: usize = SERVED_MAX * SERVED_BYTES
        + PACES
        + 4096
        + WINDOWS_MAX * LONG
        + NATIVE_SAMPLE * LONG
        + RECORDS_KEPT * (CONFLICT_BYTES + FORGERY_BYTES);

    pub fn carrier_bytes(populations: usize) -> usize {
        1 + 2 * PARTY
            + 16 * LONG
            + SEEN
            + WORD
            + populations * (SHORT + DISTINCT)
            + DISTINCT
            + SHORT
            + CARRIER_SAMPLE * LONG
            + 3 * SET
    }

    pub fn export_bytes(populations: usize) -> usize {
        1 + 2 * PARTY + SHORT + 3 * LONG + SEEN + WORD + populations * (SHORT + DISTINCT) + DISTINCT
    }
}

#[cfg(test)]
mod tests;

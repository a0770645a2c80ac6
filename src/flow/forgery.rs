//! Forgeries: answers and resets that their sender cannot have sent.
//! In: DNS messages with their flow, TCP segments with their place. Out: [`Forgery`] observations.
//! Bounds: two generations of [`QUESTIONS_HALF`] questions a worker; a reset is remembered with its flow. Nothing here is
//! longer than a race: what is older than [`RACE_MAX`] is not compared.
//! Time: packet timestamps. Source: Duan et al., "Hold-On: Protecting Against On-Path DNS Poisoning", 2012; Weaver, Sommer and
//! Paxson, "Detecting Forged TCP Reset Packets", 2009. Not here: what a conflict means over a population (`detect`).

use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;

use super::observation::{Forgery, ForgeryKind, ForgeryVersion};
use crate::packet::columns::FlowKey;
use crate::packet::facts::NameLookup;
use crate::units::{Address, DurationNs, TimestampNs};

/// Questions of one generation.
const QUESTIONS_HALF: usize = 16_384;
/// A race between a packet and its forgery is over within this time.
const RACE_MAX: DurationNs = DurationNs::from_secs(5);
/// Addresses compared of an answer; what carries more is not compared.
const ADDRESSES_MAX: usize = 8;
/// An honest path moves by no more hops than this while a question lives.
const TTL_DRIFT_MAX: u8 = 1;
/// Within this time the same answer is a copy of the frame, as mirrors make them, and none that the resolver gave again.
const COPIED_MAX_US: u32 = 1_000;
/// Segments after a reset that came the usual way, before it is called forged: fewer may only have been overtaken.
const SEGMENTS_AFTER_MIN: u8 = 3;
/// And how late the last of them must be.
const OVERTAKEN_MAX: DurationNs = DurationNs::from_millis(10);
/// Response code NXDOMAIN.
const NAME_ERROR: u8 = 3;

/// Where and when a packet was captured.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sight {
    pub(super) file: u16,
    pub(super) frame: u64,
    pub(super) ts: TimestampNs,
    pub(super) ttl: u8,
}

impl Sight {
    fn version(&self, leads_to: Option<Address>) -> ForgeryVersion {
        ForgeryVersion { frame: self.frame, ts: self.ts, ttl: self.ttl, leads_to }
    }
}

/// Ends of a packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends {
    pub(super) sender: Address,
    pub(super) sender_port: u16,
    pub(super) receiver: Address,
    pub(super) protocol: u8,
}

/// The first answer to a question. Of its addresses 32 bits of a keyed hash each are kept, a quarter of them: two that differ
/// look alike once in four thousand million times, and then a forgery is not told.
#[derive(Clone, Copy, Debug)]
struct First {
    sight: Sight,
    /// The least of its addresses, of as many as it has.
    least: Address,
    addresses: [u32; ADDRESSES_MAX],
    rcode: u8,
    count: u8,
    latest: Said,
}

/// What the latest answer said, by 16 bits of a keyed hash, and when: in microseconds, which go round in an hour. Packed, it
/// lies where a first answer has six bytes to spare: a question takes no more memory for it.
#[derive(Clone, Copy, Debug)]
#[repr(Rust, packed(2))]
struct Said {
    hash: u16,
    us: u32,
}

impl Said {
    fn of(lookup: &NameLookup, rcode: u8, sight: Sight, hash: &FixedState) -> Self {
        let said = hash.hash_one((rcode, hash_of(&lookup.answers), lookup.leads));
        Self { hash: said as u16, us: (sight.ts.0 / 1_000) as u32 }
    }

    fn is_copied_by(self, next: Self) -> bool {
        self.hash == next.hash && { next.us }.wrapping_sub(self.us) <= COPIED_MAX_US
    }
}

/// One question: (ends, ports, id, name, type).
#[derive(Clone, Copy, Debug, Default)]
struct Question {
    queries: u8,
    answers: u8,
    told: bool,
    first: Option<First>,
}

/// The questions of late.
#[derive(Debug)]
pub(super) struct Questions {
    young: HashMap<u64, Question, FixedState>,
    old: HashMap<u64, Question, FixedState>,
    hash: FixedState,
}

const _: () = assert!(size_of::<(u64, Question)>() <= 104, "two generations take seven megabytes");

impl Questions {
    pub(super) fn new(seed: u64) -> Self {
        let hash = || FixedState::with_seed(seed);
        Self { young: HashMap::with_hasher(hash()), old: HashMap::with_hasher(hash()), hash: hash() }
    }

    /// Takes a DNS message; tells when its question now has two answers of which at most one is the resolver's.
    pub(super) fn take(&mut self, key: &FlowKey, lookup: &NameLookup, sight: Sight, ends: Ends) -> Option<Forgery> {
        let id = self.hash.hash_one((key, lookup.id, lookup.qtype, &*lookup.name));
        let hash = self.hash.clone();
        let question = self.question(id);
        let Some(rcode) = lookup.rcode else {
            question.queries = question.queries.saturating_add(1);
            return None;
        };
        if let Some(first) = &mut question.first {
            let said = Said::of(lookup, rcode, sight, &hash);
            if std::mem::replace(&mut first.latest, said).is_copied_by(said) {
                return None;
            }
        }
        question.answers = question.answers.saturating_add(1);
        let Some(first) = question.first.filter(|first| sight.ts.since(first.sight.ts) <= RACE_MAX) else {
            question.first = First::of(lookup, rcode, sight, &hash);
            question.told = false;
            return None;
        };
        // As many answers as questions: a question asked again is answered again, from a list that may have moved on.
        let is_explained = question.answers <= question.queries;
        let is_elsewhere = sight.ttl.abs_diff(first.sight.ttl) > TTL_DRIFT_MAX;
        if question.told || is_explained && !is_elsewhere || !first.contradicts(lookup, rcode, &hash) {
            return None;
        }
        question.told = true;
        Some(Forgery {
            kind: ForgeryKind::Answer,
            file: sight.file,
            sender: ends.sender,
            sender_port: ends.sender_port,
            receiver: ends.receiver,
            protocol: ends.protocol,
            versions: [first.sight.version(first.leads_to()), sight.version(lookup.answers.iter().min().copied())],
            delta: sight.ts.since(first.sight.ts),
            sender_ttl_usual: None,
            copies: 1,
            name: lookup.name.clone(),
        })
    }

    fn question(&mut self, id: u64) -> &mut Question {
        if self.young.len() >= QUESTIONS_HALF && !self.young.contains_key(&id) {
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
        }
        match self.young.entry(id) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(self.old.remove(&id).unwrap_or_default()),
        }
    }
}

/// A hash of a set of addresses, the same in every run.
fn hash_of(addresses: &[Address]) -> u64 {
    let each = |address: &Address| FixedState::with_seed(0x7472_6177_6c64_6e73).hash_one(address.0);
    addresses.iter().map(each).fold(0, u64::wrapping_add)
}

/// A hash of 64 bits as two of 32.
fn halves(hash: u64) -> [u32; 2] {
    [hash as u32, (hash >> 32) as u32]
}

/// What is kept of an address, by a hash that whoever answers does not know.
fn brief(address: Address, hash: &FixedState) -> u32 {
    hash.hash_one(address.0) as u32
}

impl First {
    /// What can be compared: a name error, a few addresses, or where else the answer leads. The latter takes the place of the first two
    /// addresses.
    fn of(lookup: &NameLookup, rcode: u8, sight: Sight, hash: &FixedState) -> Option<Self> {
        let count = lookup.answers.len();
        let leads_by_name = count == 0 && lookup.leads != 0;
        let is_comparable =
            rcode == NAME_ERROR || rcode == 0 && (leads_by_name || (1..=ADDRESSES_MAX).contains(&count));
        is_comparable.then(|| {
            let mut addresses = [0; ADDRESSES_MAX];
            addresses.iter_mut().zip(&lookup.answers).for_each(|(to, from)| *to = brief(*from, hash));
            if leads_by_name {
                [addresses[0], addresses[1]] = halves(lookup.leads);
            }
            let least = lookup.answers.iter().min().copied().unwrap_or_default();
            let latest = Said::of(lookup, rcode, sight, hash);
            Self { sight, least, addresses, rcode, count: count.min(ADDRESSES_MAX) as u8, latest }
        })
    }

    /// Where it sends whoever asked.
    fn leads_to(&self) -> Option<Address> {
        (self.count > 0).then_some(self.least)
    }

    /// Whether another answer has nothing in common with this one.
    fn contradicts(&self, lookup: &NameLookup, rcode: u8, hash: &FixedState) -> bool {
        let mine = &self.addresses[..usize::from(self.count)];
        match (self.rcode, rcode) {
            (0, 0) if self.count == 0 => {
                lookup.answers.is_empty() && lookup.leads != 0 && halves(lookup.leads) != self.addresses[..2]
            }
            (0, 0) => {
                let is_comparable = (1..=ADDRESSES_MAX).contains(&lookup.answers.len());
                is_comparable && !lookup.answers.iter().any(|address| mine.contains(&brief(*address, hash)))
            }
            (NAME_ERROR, 0) => !lookup.answers.is_empty() || lookup.leads != 0,
            (0, NAME_ERROR) => true,
            _ => false,
        }
    }
}

/// The first reset of one side, and what came after it.
#[derive(Clone, Copy, Debug)]
struct ResetSeen {
    sight: Sight,
    /// Relative sequence number.
    at: i64,
    ttl_usual: Option<u8>,
    resets: u8,
    segments_after: u8,
    told: bool,
}

/// The resets of one flow, by side.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Resets([Option<ResetSeen>; 2]);

impl Resets {
    /// Takes a reset of `side` at a relative sequence number.
    pub(super) fn take(&mut self, side: usize, at: i64, sight: Sight, ttl_usual: Option<u8>) {
        match &mut self.0[side] {
            Some(seen) => seen.resets = seen.resets.saturating_add(1),
            slot => {
                *slot = Some(ResetSeen { sight, at, ttl_usual, resets: 1, segments_after: 0, told: false });
            }
        }
    }

    /// Takes a segment with payload of `side`; tells when it shows that its sender never sent the reset.
    pub(super) fn segment(&mut self, side: usize, at: i64, sight: Sight, ends: Ends) -> Option<Forgery> {
        let seen = self.0[side].as_mut()?;
        let delta = sight.ts.since(seen.sight.ts);
        // What lies before the reset was sent before it, and only came later.
        if seen.told || at < seen.at || at - seen.at > 1 << 20 || delta > RACE_MAX {
            return None;
        }
        seen.segments_after = seen.segments_after.saturating_add(1);
        let reset_ttl = seen.sight.ttl;
        let is_elsewhere = seen.ttl_usual.is_some_and(|usual| usual.abs_diff(reset_ttl) > TTL_DRIFT_MAX)
            && sight.ttl.abs_diff(reset_ttl) > TTL_DRIFT_MAX;
        let goes_on = seen.segments_after >= SEGMENTS_AFTER_MIN && delta > OVERTAKEN_MAX;
        if !is_elsewhere && !goes_on {
            return None;
        }
        seen.told = true;
        Some(Forgery {
            kind: ForgeryKind::Reset,
            file: sight.file,
            sender: ends.sender,
            sender_port: ends.sender_port,
            receiver: ends.receiver,
            protocol: ends.protocol,
            versions: [seen.sight.version(None), sight.version(None)],
            delta,
            sender_ttl_usual: seen.ttl_usual,
            copies: seen.resets,
            name: Box::default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: Address = Address([0; 16]);

    fn ends() -> Ends {
        Ends { sender: Address::v4([192, 0, 2, 53]), sender_port: 53, receiver: CLIENT, protocol: 17 }
    }

    fn sight(ms: u64, ttl: u8) -> Sight {
        Sight { file: 0, frame: ms, ts: TimestampNs(ms * 1_000_000), ttl }
    }

    fn message(id: u16, rcode: Option<u8>, answers: &[u8]) -> NameLookup {
        NameLookup {
            ts: TimestampNs::ZERO,
            client: CLIENT,
            resolver: Address::v4([192, 0, 2, 53]),
            name: "www.example.org".into(),
            qtype: 1,
            rcode,
            id,
            answers: answers.iter().map(|last| Address::v4([198, 51, 100, *last])).collect(),
            ttl_s: 60,
            message_bytes: 60,
            aliases: 0,
            free_bytes: 0,
            leads: 0,
        }
    }

    /// Where a mail exchanger's answer leads counts as an address does; one with addresses beside it is another thing.
    #[test]
    fn answers_that_lead_by_a_name_are_compared_as_well() {
        let of = |leads: u64, addresses: &[u8], rcode: u8| NameLookup { leads, ..message(1, Some(rcode), addresses) };
        let table = [
            ("another exchanger", of(7, &[], 0), of(9, &[], 0), true),
            ("the same", of(7, &[], 0), of(7, &[], 0), false),
            ("nothing", of(7, &[], 0), of(0, &[], 0), false),
            ("no such name", of(7, &[], 0), of(0, &[], NAME_ERROR), true),
            ("no such name first", of(0, &[], NAME_ERROR), of(7, &[], 0), true),
            ("addresses", of(7, &[], 0), of(9, &[1], 0), false),
        ];
        for (name, first, second, wanted) in table {
            let mut questions = Questions::new(1);
            let mut take =
                |one: &NameLookup, ms| questions.take(&FlowKey::default(), one, sight(ms, 60), ends()).is_some();
            assert_eq!((take(&first, 5), take(&second, 9)), (false, wanted), "{name}");
        }
    }

    #[test]
    fn two_answers_to_one_question_and_what_looks_like_them() {
        type Step = (u64, u8, u16, Option<u8>, &'static [u8]);
        const TWICE: [Step; 2] = [(0, 64, 1, None, &[]), (2, 64, 1, None, &[])];
        let [a, b] = [(5, 60, 1, Some(0), &[1][..]), (9, 60, 1, Some(0), &[2][..])];
        let later = (40, 60, 1, Some(0), &[2][..]);
        let table: [(&str, &[Step], usize); 14] = [
            ("asked twice, the first answer copied", &[TWICE[0], TWICE[1], a, a, b], 0),
            ("asked twice, the second answer copied", &[TWICE[0], TWICE[1], a, b, b], 0),
            ("asked twice, answered a third time", &[TWICE[0], TWICE[1], a, b, later], 1),
            ("a forged answer", &[(0, 64, 1, None, &[]), (5, 50, 1, Some(0), &[1]), (9, 60, 1, Some(0), &[2])], 1),
            ("the same distance", &[(0, 64, 1, None, &[]), (5, 60, 1, Some(0), &[1]), (9, 60, 1, Some(0), &[2])], 1),
            ("a name error", &[(0, 64, 1, None, &[]), (5, 60, 1, Some(3), &[]), (9, 60, 1, Some(0), &[2])], 1),
            ("told once", &[(5, 60, 1, Some(0), &[1]), (9, 60, 1, Some(0), &[2]), (9, 60, 1, Some(0), &[3])], 1),
            ("seen twice", &[(0, 64, 1, None, &[]), (5, 60, 1, Some(0), &[1]), (9, 60, 1, Some(0), &[1])], 0),
            ("turned round", &[(0, 64, 1, None, &[]), (5, 60, 1, Some(0), &[1, 2]), (9, 60, 1, Some(0), &[2, 1])], 0),
            ("another question", &[(5, 60, 1, Some(0), &[1]), (9, 60, 2, Some(0), &[2])], 0),
            (
                "asked twice",
                &[(0, 64, 1, None, &[]), (2, 64, 1, None, &[]), (5, 60, 1, Some(0), &[1]), (9, 60, 1, Some(0), &[2])],
                0,
            ),
            (
                "asked twice, from elsewhere",
                &[(0, 64, 1, None, &[]), (2, 64, 1, None, &[]), (5, 50, 1, Some(0), &[1]), (9, 60, 1, Some(0), &[2])],
                1,
            ),
            ("too late", &[(5, 60, 1, Some(0), &[1]), (9_000, 60, 1, Some(0), &[2])], 0),
            ("a failure first", &[(5, 60, 1, Some(2), &[]), (9, 60, 1, Some(0), &[2])], 0),
        ];
        for (name, steps, wanted) in table {
            let mut questions = Questions::new(1);
            let told = steps.iter().filter(|(ms, ttl, id, rcode, answers)| {
                let message = message(*id, *rcode, answers);
                questions.take(&FlowKey::default(), &message, sight(*ms, *ttl), ends()).is_some()
            });
            assert_eq!(told.count(), wanted, "{name}");
        }
    }

    #[test]
    fn a_full_memory_forgets_the_older_half() {
        let mut questions = Questions::new(1);
        for id in 0..u16::MAX {
            questions.take(&FlowKey::default(), &message(id, Some(0), &[1]), sight(1, 60), ends());
        }
        assert!(questions.young.len() + questions.old.len() <= 2 * QUESTIONS_HALF);
    }

    #[test]
    fn resets_that_their_sender_does_not_know_of() {
        // Relative number and TTL of the reset, then of each segment: (milliseconds, number, TTL).
        type Segments = &'static [(u64, i64, u8)];
        let table: [(&str, u8, Segments, bool); 7] = [
            ("from elsewhere, and the server goes on", 40, &[(20, 101, 55)], true),
            ("the same TTL, and the server goes on", 55, &[(20, 101, 55), (30, 1000, 55), (40, 2000, 55)], true),
            ("overtaken segments", 55, &[(1, 101, 55), (2, 1000, 55), (3, 2000, 55)], false),
            ("one segment the usual way", 55, &[(20, 101, 55)], false),
            ("sent before", 40, &[(20, 50, 55)], false),
            ("far away", 40, &[(20, 1 << 24, 55)], false),
            ("much later", 40, &[(9_000, 101, 55)], false),
        ];
        for (name, ttl, segments, wanted) in table {
            let mut resets = Resets::default();
            resets.take(1, 101, sight(0, ttl), Some(55));
            let told =
                segments.iter().filter(|(ms, at, ttl)| resets.segment(1, *at, sight(*ms, *ttl), ends()).is_some());
            assert_eq!(told.count() > 0, wanted, "{name}");
            assert!(resets.segment(0, 500, sight(50, 55), ends()).is_none(), "{name}: the other side");
        }
    }
}

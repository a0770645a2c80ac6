//! Told: facts that many flows say alike are held once.
//! In: what a flow's application said. Out: the same, shared with flows that said it lately: a browser greets a site in the same
//! words each time, and with facts of some two hundred bytes each they were a tenth of what a million living flows took.
//! Bounds: [`PLACES_MAX`] facts are remembered, and no more than living flows once held at the same time.

use std::sync::Arc;

use super::index::fold;
use crate::packet::facts::AppFacts;

/// Places at the start: one page.
const PLACES_MIN: usize = 512;
/// Places at the most: some four megabytes with what they mostly hold, and some tens where all facts are as large as names may be.
const PLACES_MAX: usize = 1 << 14;

/// Facts told lately, each in the one place that its hash gives it.
#[derive(Debug)]
pub(super) struct Told {
    places: Vec<Option<Arc<AppFacts>>>,
    /// Facts that lost their place while flows still held them.
    crowded_out: usize,
}

impl Told {
    pub(super) fn new() -> Self {
        Self { places: vec![None; PLACES_MIN], crowded_out: 0 }
    }

    /// Facts equal to these, held together with whoever told them lately.
    pub(super) fn share(&mut self, facts: AppFacts) -> Arc<AppFacts> {
        let at = self.place_of(&facts);
        let place = &mut self.places[at];
        if let Some(held) = place.as_ref().filter(|held| ***held == facts) {
            return Arc::clone(held);
        }
        let told = Arc::new(facts);
        let before = place.replace(Arc::clone(&told));
        self.crowded_out += usize::from(before.is_some_and(|before| Arc::strong_count(&before) > 1));
        if self.crowded_out >= self.places.len() && self.places.len() < PLACES_MAX {
            self.grow();
        }
        told
    }

    fn grow(&mut self) {
        let doubled = vec![None; self.places.len() * 2];
        self.crowded_out = 0;
        for held in std::mem::replace(&mut self.places, doubled).into_iter().flatten() {
            let at = self.place_of(&held);
            self.places[at] = Some(held);
        }
    }

    /// By what most tells flows apart; equal facts have one place, and others may have the same.
    fn place_of(&self, facts: &AppFacts) -> usize {
        let name = facts.server_name.as_deref().unwrap_or_default();
        let ja4 = facts.ja4.as_deref().unwrap_or_default();
        let seed = facts.server_fingerprint.unwrap_or_default() ^ facts.hello_offer.map_or(0, u64::from);
        let words = name.as_bytes().chunks(8).chain(ja4.as_bytes().chunks(8));
        let hash = words.fold(seed, |hash, bytes| {
            let mut word = [0; 8];
            word[..bytes.len()].copy_from_slice(bytes);
            fold(hash ^ u64::from_le_bytes(word), 0x9e37_79b9_7f4a_7c15)
        });
        (hash >> 32) as usize & (self.places.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(n: usize) -> AppFacts {
        AppFacts { server_name: Some(format!("w{n}.example").into()), ..AppFacts::default() }
    }

    #[test]
    fn equal_facts_are_one_and_others_are_not() {
        let mut told = Told::new();
        let first = told.share(named(1));
        assert!(Arc::ptr_eq(&first, &told.share(named(1))));
        // The same place, by all that gives one.
        let other = told.share(AppFacts { tls_cipher: Some(7), ..named(1) });
        assert_eq!((other.tls_cipher, &other.server_name), (Some(7), &first.server_name));
        assert_eq!(first.tls_cipher, None);
    }

    #[test]
    fn places_follow_what_lives_and_have_a_bound() {
        let mut told = Told::new();
        (0..PLACES_MAX).for_each(|n| drop(told.share(named(n))));
        assert_eq!(told.places.len(), PLACES_MIN, "nobody held them");
        let held: Vec<_> = (0..4 * PLACES_MAX).map(|n| told.share(named(n))).collect();
        assert_eq!((told.places.len(), held.len()), (PLACES_MAX, 4 * PLACES_MAX));
    }
}

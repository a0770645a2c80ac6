//! Union: one summary taken into another, and what stays behind used again.
//! In: summaries of one basis. Out: their exact union; an empty summary with the memory of its tables.
//! Bounds: merging drops nothing, [`Summary::bound`] does. A table keeps room for what its last window held, see `table`.

use super::{MergeError, Summary, WINDOWS_MAX};
use crate::population::sketch::Merge;
use crate::population::span::Span;
use crate::population::texts::TextId;

/// How many entries the largest tables of a summary have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Room {
    collectors: usize,
    domains: usize,
    pairs: usize,
    subscribers: usize,
}

impl Summary {
    /// Takes another summary in: an exact union, nothing is dropped. Where their classes differ, both go to the coarser
    /// one. Refused, with nothing changed, where they rest on different populations, keys or codebooks.
    pub fn merge(&mut self, mut other: Self) -> Result<(), MergeError> {
        self.take_in(&mut other)
    }

    /// As [`Self::merge`]; `other` stays behind empty, with the memory of its tables, good for [`Self::renewed`].
    pub fn take_in(&mut self, other: &mut Self) -> Result<(), MergeError> {
        let basis = self.basis.joined(other.basis)?;
        let class = self.class.max(other.class);
        self.rollup(class);
        other.rollup(class);
        // Taken apart, so that a new field cannot be forgotten.
        let Self {
            copies: _,
            hashes: _,
            basis: _,
            class: _,
            span,
            windows,
            seen,
            roles,
            populations,
            collectors,
            domains,
            pairs,
            subscribers,
            served,
            paces,
            carriers,
            native,
            exports,
            conflicts,
            injections,
            answers,
            resolvers,
            answered,
            zones,
            servers,
            hellos,
            forgeries,
            texts,
        } = other;
        self.basis = basis;
        self.span.merge(std::mem::take(span));
        self.windows.append(windows);
        self.windows.sort_unstable();
        self.windows.dedup();
        self.windows.truncate(WINDOWS_MAX);
        self.seen.merge(std::mem::take(seen));
        self.roles.merge(std::mem::take(roles));
        for (population, summary) in std::mem::take(populations) {
            self.populations.entry(population).or_default().merge(summary);
        }
        self.collectors.take_in(collectors);
        self.domains.take_in(domains);
        self.pairs.take_in(pairs);
        self.subscribers.take_in(subscribers);
        self.served.take_in(served);
        self.paces.merge(std::mem::take(paces));
        self.carriers.take_in(carriers);
        self.native.merge(std::mem::take(native));
        self.exports.take_in(exports);
        self.conflicts.merge(std::mem::take(conflicts));
        self.injections.take_in(injections);
        self.answers.take_in(answers);
        self.resolvers.take_in(resolvers);
        self.answered.take_in(answered);
        self.zones.take_in(zones);
        self.servers.take_in(servers);
        self.hellos.take_in(hellos);
        self.forgeries.merge(std::mem::take(forgeries));
        self.texts.take_in(texts);
        Ok(())
    }

    /// A summary of one window, to be filled, in the memory of another whose content is forgotten.
    pub fn renewed(self, span: Span) -> Self {
        Self {
            hashes: self.hashes,
            collectors: self.collectors.cleared(),
            domains: self.domains.cleared(),
            pairs: self.pairs.cleared(),
            subscribers: self.subscribers.cleared(),
            served: self.served.cleared(),
            answers: self.answers.cleared(),
            answered: self.answered.cleared(),
            zones: self.zones.cleared(),
            servers: self.servers.cleared(),
            hellos: self.hellos.cleared(),
            texts: self.texts.cleared(),
            ..Self::new(span)
        }
    }

    /// What is left of a stretch that is over: which names were looked up, and for which addresses.
    pub fn names_only(self) -> Self {
        let mut left =
            Self { basis: self.basis, class: self.class, answers: self.answers, texts: self.texts, ..Self::default() };
        let mut wanted: Vec<TextId> = Vec::new();
        left.answers.each_of(|_, answer| wanted.extend(answer.names.iter().map(|(id, _)| id)));
        wanted.sort_unstable();
        wanted.dedup();
        left.texts.bound(&wanted, wanted.len());
        left
    }

    /// Entries of the tables that every row touches: what the next window is likely to want.
    pub fn room(&self) -> Room {
        Room {
            collectors: self.collectors.len(),
            domains: self.domains.len(),
            pairs: self.pairs.len(),
            subscribers: self.subscribers.len(),
        }
    }

    /// Makes room at once for as many entries as a window like the last one wants.
    pub fn make_room(&mut self, room: Room) {
        self.collectors.make_room(room.collectors);
        self.domains.make_room(room.domains);
        self.pairs.make_room(room.pairs);
        self.subscribers.make_room(room.subscribers);
    }
}

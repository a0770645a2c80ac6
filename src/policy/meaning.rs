//! What was written becomes what is meant, or an error that names the line.
//! In: the text of a policy. Out: a [`Policy`] and what is doubtful about it.

use std::collections::BTreeMap;
use std::ops::Range;

use ipnet::IpNet;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use toml::Spanned;
use toml::value::Datetime;

use super::pattern::{self, CollectorPattern};
use super::written::{WrittenEntry, WrittenPolicy, WrittenPopulation, WrittenSize, WrittenTransfer};
use super::{Country, Doubt, Entry, Policy, PolicyError, PolicyWarning, PopulationSpec, Transfer, Wrong, size};
use crate::units::TimestampNs;

pub(super) fn parse(text: &str, file: &str, today: Date) -> Result<(Policy, Vec<PolicyWarning>), PolicyError> {
    let mut reader = Reader { text, file, today, warnings: Vec::new() };
    let policy = reader.policy()?;
    Ok((policy, reader.warnings))
}

/// The text at hand, to turn places into lines.
struct Reader<'a> {
    text: &'a str,
    file: &'a str,
    today: Date,
    warnings: Vec<PolicyWarning>,
}

impl Reader<'_> {
    fn policy(&mut self) -> Result<Policy, PolicyError> {
        let written: WrittenPolicy = toml::from_str(self.text).map_err(|error| {
            let at = error.span().unwrap_or(0..0);
            self.wrong(at, Wrong::Form(error.message().replace('\n', " ")))
        })?;
        let populations = self.populations(&written.population)?;
        let mut entries = Vec::with_capacity(written.authorised.len());
        for entry in &written.authorised {
            entries.push(self.entry(entry, &populations)?);
        }
        let transfers = self.transfers(&written.transfer, &populations)?;
        Ok(Policy { populations, entries, transfers })
    }

    fn populations(&self, written: &[WrittenPopulation]) -> Result<Vec<PopulationSpec>, PolicyError> {
        let mut names: BTreeMap<&str, usize> = BTreeMap::new();
        let mut taken: BTreeMap<IpNet, (&str, usize)> = BTreeMap::new();
        let mut populations = Vec::with_capacity(written.len());
        for one in written {
            let name = self.name(&one.name, "population")?;
            let line = self.line(one.name.span());
            if let Some(first) = names.insert(name, line) {
                return Err(self.wrong(one.name.span(), Wrong::PopulationTwice { name: name.to_owned(), first }));
            }
            self.not_empty(&one.name, &one.prefixes, "prefix")?;
            let mut prefixes = Vec::with_capacity(one.prefixes.len());
            for written in &one.prefixes {
                let at = written.span();
                let prefix = pattern::prefix(written.get_ref()).map_err(|wrong| self.wrong(at.clone(), wrong))?;
                if let Some((population, first)) = taken.insert(prefix, (name, self.line(at.clone()))) {
                    let population = population.to_owned();
                    return Err(self.wrong(at, Wrong::PrefixTwice { prefix, population, first }));
                }
                prefixes.push(prefix);
            }
            let jurisdiction = one.jurisdiction.as_ref().map(|code| self.country(code)).transpose()?;
            let mut resolvers = Vec::with_capacity(one.resolvers.len());
            for written in &one.resolvers {
                let wrong = |_| self.wrong(written.span(), Wrong::Address(written.get_ref().clone()));
                resolvers.push(written.get_ref().parse().map_err(wrong)?);
            }
            let jurisdiction = jurisdiction.map(|country| country.code().to_owned());
            populations.push(PopulationSpec { name: name.to_owned(), prefixes, jurisdiction, resolvers });
        }
        Ok(populations)
    }

    fn entry(&mut self, written: &WrittenEntry, defined: &[PopulationSpec]) -> Result<Entry, PolicyError> {
        let name = self.name(&written.name, "authorised entry")?.to_owned();
        self.not_empty(&written.name, &written.collectors, "collector")?;
        let mut collectors = Vec::with_capacity(written.collectors.len());
        for one in &written.collectors {
            let pattern = CollectorPattern::parse(one.get_ref()).map_err(|wrong| self.wrong(one.span(), wrong))?;
            if let Some(how_much) = pattern.too_wide() {
                let pattern = one.get_ref().clone();
                self.warn(one.span(), Doubt::TooWide { entry: name.clone(), pattern, how_much });
            }
            collectors.push(pattern);
        }
        let populations = match &written.populations {
            None => None,
            Some(names) => {
                self.not_empty(&written.name, names, "population")?;
                Some(names.iter().map(|one| self.known_population(one, defined)).collect::<Result<_, _>>()?)
            }
        };
        let techniques = match &written.techniques {
            None => None,
            Some(ids) => {
                self.not_empty(&written.name, ids, "technique")?;
                let technique = |id: &Spanned<String>| {
                    id.get_ref().parse().map_err(|_| self.wrong(id.span(), Wrong::Technique(id.get_ref().clone())))
                };
                Some(ids.iter().map(technique).collect::<Result<_, _>>()?)
            }
        };
        let papers = [("legal_basis", &written.legal_basis), ("reference", &written.reference)];
        for (what, _) in papers.into_iter().filter(|(_, text)| text.trim().is_empty()) {
            self.warn(written.name.span(), Doubt::NoPapers { entry: name.clone(), what });
        }
        let expires = written.expires.as_ref().map(|day| self.day(day)).transpose()?;
        if let Some(day) =
            written.expires.as_ref().filter(|_| expires.is_some_and(|expires| expires <= first_moment(self.today)))
        {
            self.warn(day.span(), Doubt::Expired { entry: name.clone(), day: day.get_ref().to_string() });
        }
        let limit = written.max_bytes_per_subscriber_per_day.as_ref();
        Ok(Entry {
            name,
            collectors,
            populations,
            techniques,
            legal_basis: written.legal_basis.clone(),
            reference: written.reference.clone(),
            expires,
            subscriber_day_bytes_max: limit.map(|size| self.bytes(size)).transpose()?,
        })
    }

    fn transfers(
        &mut self,
        written: &[WrittenTransfer],
        defined: &[PopulationSpec],
    ) -> Result<Vec<Transfer>, PolicyError> {
        let mut seen: BTreeMap<Country, usize> = BTreeMap::new();
        let mut transfers = Vec::with_capacity(written.len());
        for one in written {
            let from = self.country(&one.from)?;
            if let Some(first) = seen.insert(from, self.line(one.from.span())) {
                return Err(self.wrong(one.from.span(), Wrong::TransferTwice { from, first }));
            }
            if !defined.iter().any(|population| population.jurisdiction.as_deref() == Some(from.code())) {
                self.warn(one.from.span(), Doubt::NoSuchJurisdiction { from });
            }
            let allow = one.allow.iter().map(|code| self.country(code)).collect::<Result<_, _>>()?;
            let day_bytes_min = one.min_bytes_per_day.as_ref().map_or(Ok(0), |size| self.bytes(size))?;
            transfers.push(Transfer { from, allow, day_bytes_min });
        }
        Ok(transfers)
    }

    fn name<'w>(&self, written: &'w Spanned<String>, of: &'static str) -> Result<&'w str, PolicyError> {
        match written.get_ref().trim() {
            "" => Err(self.wrong(written.span(), Wrong::NoName(of))),
            name => Ok(name),
        }
    }

    fn not_empty<T>(&self, name: &Spanned<String>, list: &[T], what: &'static str) -> Result<(), PolicyError> {
        match list.is_empty() {
            true => Err(self.wrong(name.span(), Wrong::Empty { entry: name.get_ref().clone(), what })),
            false => Ok(()),
        }
    }

    fn known_population(&self, written: &Spanned<String>, defined: &[PopulationSpec]) -> Result<String, PolicyError> {
        let name = written.get_ref().trim();
        if defined.iter().any(|population| population.name == name) {
            return Ok(name.to_owned());
        }
        let names: Vec<&str> = defined.iter().map(|population| population.name.as_str()).collect();
        let defined = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        Err(self.wrong(written.span(), Wrong::Population { written: written.get_ref().clone(), defined }))
    }

    fn country(&self, written: &Spanned<String>) -> Result<Country, PolicyError> {
        Country::of_code(written.get_ref())
            .ok_or_else(|| self.wrong(written.span(), Wrong::Country(written.get_ref().clone())))
    }

    fn bytes(&self, written: &Spanned<WrittenSize>) -> Result<u64, PolicyError> {
        let (bytes, text) = match written.get_ref() {
            WrittenSize::Bytes(bytes) => (u64::try_from(*bytes).ok(), bytes.to_string()),
            WrittenSize::Text(text) => (size::parse(text), text.clone()),
        };
        bytes.ok_or_else(|| self.wrong(written.span(), Wrong::Size(text)))
    }

    /// The first moment of a day.
    fn day(&self, written: &Spanned<Datetime>) -> Result<TimestampNs, PolicyError> {
        let day = written.get_ref();
        day.date
            .filter(|_| day.time.is_none() && day.offset.is_none())
            .and_then(|date| Date::new(date.year as i16, date.month as i8, date.day as i8).ok())
            .map(first_moment)
            .ok_or_else(|| self.wrong(written.span(), Wrong::Day(day.to_string())))
    }

    fn line(&self, at: Range<usize>) -> usize {
        1 + self.text.as_bytes().iter().take(at.start).filter(|byte| **byte == b'\n').count()
    }

    fn wrong(&self, at: Range<usize>, wrong: Wrong) -> PolicyError {
        PolicyError::Wrong { file: self.file.to_owned(), line: self.line(at), wrong }
    }

    fn warn(&mut self, at: Range<usize>, doubt: Doubt) {
        let warning = PolicyWarning { file: self.file.to_owned(), line: self.line(at), doubt };
        self.warnings.push(warning);
    }
}

/// The first moment of a day, UTC. Days before 1970 are 1970's first, and years that the clock does not reach are its end.
fn first_moment(day: Date) -> TimestampNs {
    match day.to_zoned_datetime(TimeZone::UTC) {
        Ok(midnight) => TimestampNs(u64::try_from(midnight.timestamp().as_nanosecond().max(0)).unwrap_or(u64::MAX)),
        // The very last day of the calendar has no moment of its own there.
        Err(_) => TimestampNs::MAX,
    }
}

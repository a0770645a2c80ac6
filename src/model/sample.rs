//! Sample: what a model is fitted on, drawn from any amount of traffic in bounded memory.
//! In: flow rows and summaries as the analyst looks at them. Out: [`FLOW_ROWS_MAX`] flow rows and, for windows, hours and days
//! each, the profiles of [`PARTIES_MAX`] parties.
//! What is kept is decided by hashes, so the order of files and windows does not matter.
//! One profile a party: a party is seen in every window, and who collects day and night would else be its own crowd, in which
//! it is ordinary. And [`PER_NETWORK_MAX`] addresses of one /24 or /48, so that a fleet beside itself is no crowd either.

use std::collections::BTreeMap;
use std::hash::Hasher;

use siphasher::sip::SipHasher13;

use super::words::SERVICE_UNKNOWN;
use crate::features::{self, FEATURE_COUNT, FeatureMatrix};
use crate::flow::row::FlowColumns;
use crate::population::collector::{CollectorSummary, Service, ServiceAt};
use crate::population::conflict::network_of;
use crate::population::groups::{CollectorGroup, Level, roll_up};
use crate::population::profile::{PROFILE_LEN, ProfileContext, profile_of};
use crate::population::{MergeError, SpanClass, Summary, SummaryLimits};
use crate::units::{Address, Side};

/// Flow rows kept: twice what a codebook is fitted on.
pub const FLOW_ROWS_MAX: usize = 60_000;
/// Parties kept of each length of span.
pub const PARTIES_MAX: usize = 20_000;
/// Addresses of one network that may stand in the sample.
pub const PER_NETWORK_MAX: usize = 4;
/// Collectors with fewer subscribers are no ordinary services, and are not profiled.
const SUBSCRIBERS_MIN: u64 = 3;
/// Key of the hashes: what is drawn does not depend on anything else.
const HASH_KEY: &[u8; 16] = b"trawl model draw";

/// Features of the flows with the smallest hashes.
#[derive(Debug, Default)]
pub struct FlowSample {
    kept: Vec<(u64, [f32; FEATURE_COUNT], Service)>,
    matrix: FeatureMatrix,
    threshold: Option<u64>,
    seen: u64,
}

impl FlowSample {
    /// Takes rows in.
    pub fn add(&mut self, rows: &FlowColumns) {
        features::compute(rows, &mut self.matrix);
        self.seen += rows.len() as u64;
        for i in 0..rows.len() {
            let rank = rank_of(rows, i);
            if self.threshold.is_none_or(|threshold| rank < threshold) {
                let mut row = [0.0; FEATURE_COUNT];
                self.matrix.copy_row(i, &mut row);
                let protocol = rows.key[i].protocol;
                let service = Service { protocol, port: rows.port(i, Side::Resp), at: ServiceAt::Collector };
                self.kept.push((rank, row, service));
            }
            if self.kept.len() >= 2 * FLOW_ROWS_MAX {
                self.cut();
            }
        }
    }

    /// Rows seen, and those kept with their services, in the order of their hashes.
    pub fn finish(mut self) -> (u64, FeatureMatrix, Vec<Service>) {
        if self.kept.len() > FLOW_ROWS_MAX {
            self.cut();
        }
        self.kept.sort_by_key(|(rank, ..)| *rank);
        let mut matrix = FeatureMatrix::new();
        self.kept.iter().for_each(|(_, row, _)| matrix.push_row(row));
        (self.seen, matrix, self.kept.into_iter().map(|(_, _, service)| service).collect())
    }

    fn cut(&mut self) {
        self.kept.select_nth_unstable_by_key(FLOW_ROWS_MAX, |(rank, ..)| *rank);
        self.kept.truncate(FLOW_ROWS_MAX);
        self.threshold = self.kept.iter().map(|(rank, ..)| *rank).max();
    }
}

/// A number that depends on the row alone and spreads evenly (SplitMix64's finisher).
fn rank_of(rows: &FlowColumns, i: usize) -> u64 {
    let mut z = rows.tuple_hash[i] ^ rows.ts_first[i].0.rotate_left(32) ^ u64::from(rows.row_number[i]);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// One party's profile.
#[derive(Clone, Debug)]
struct Kept {
    /// Of the look that it was drawn from: the smallest stays.
    rank: u64,
    network: Option<(u32, Address)>,
    row: [f32; PROFILE_LEN],
    service: Service,
}

/// Profiles of parties, one each, by length of span.
#[derive(Debug)]
pub struct ProfileSample {
    by_class: [BTreeMap<u64, Kept>; SpanClass::ALL.len()],
    limits: SummaryLimits,
    hour: Summary,
    day: Summary,
    parts: u32,
    place: u32,
}

/// The profiles of one length of span, and the service that each mostly is.
#[derive(Clone, Debug, Default)]
pub struct Profiles {
    /// The rows.
    pub rows: Vec<Vec<f32>>,
    /// A service for each row.
    pub services: Vec<Service>,
}

impl ProfileSample {
    /// Empty; summaries are kept within `limits`.
    pub fn new(limits: SummaryLimits) -> Self {
        Self { by_class: Default::default(), limits, hour: Summary::empty(), day: Summary::empty(), parts: 0, place: 0 }
    }

    /// Takes a window in, and looks at it, at the hour so far and at the day so far when the analyst would.
    ///
    /// # Errors
    /// When it was made under another policy, key or codebook than the windows before.
    pub fn window(&mut self, mut window: Summary) -> Result<(), MergeError> {
        let hour_of = |summary: &Summary| SpanClass::Hour.slot_of(summary.span().start) / 60;
        let day_of = |summary: &Summary| SpanClass::Day.slot_of(summary.span().start) / 96;
        if self.parts > 0 && hour_of(&self.hour) != hour_of(&window) {
            let day_is_over = day_of(&self.hour) != day_of(&window);
            self.close_hour()?;
            if day_is_over {
                self.day = Summary::empty();
            }
        }
        self.look(SpanClass::Window, &window);
        window.rollup(SpanClass::Hour);
        self.hour.merge(window)?;
        self.parts += 1;
        if self.parts > 1 && self.parts.is_power_of_two() {
            self.hour.bound(&self.limits);
            let hour = std::mem::take(&mut self.hour);
            self.look(SpanClass::Hour, &hour);
            self.hour = hour;
        }
        Ok(())
    }

    /// What follows was seen somewhere else, by whoever: nothing of it is merged with what came before.
    ///
    /// # Errors
    /// See [`Self::window`].
    pub fn end_place(&mut self) -> Result<(), MergeError> {
        self.close_hour()?;
        self.day = Summary::empty();
        self.place += 1;
        Ok(())
    }

    /// What was kept, by length of span in the order of [`SpanClass::ALL`].
    ///
    /// # Errors
    /// See [`Self::window`].
    pub fn finish(mut self) -> Result<[Profiles; SpanClass::ALL.len()], MergeError> {
        self.close_hour()?;
        Ok(self.by_class.map(|kept| {
            let mut of_network: BTreeMap<(u32, Address), usize> = BTreeMap::new();
            let mut profiles = Profiles::default();
            for one in kept.into_values() {
                let beside = one.network.map_or(0, |network| {
                    let beside = of_network.entry(network).or_default();
                    *beside += 1;
                    *beside
                });
                if beside <= PER_NETWORK_MAX {
                    profiles.rows.push(one.row.to_vec());
                    profiles.services.push(one.service);
                }
            }
            profiles
        }))
    }

    fn close_hour(&mut self) -> Result<(), MergeError> {
        if self.parts == 0 {
            return Ok(());
        }
        self.parts = 0;
        let mut hour = std::mem::take(&mut self.hour);
        hour.bound(&self.limits);
        self.look(SpanClass::Hour, &hour);
        hour.rollup(SpanClass::Day);
        self.day.merge(hour)?;
        self.day.bound(&self.limits);
        let day = std::mem::take(&mut self.day);
        self.look(SpanClass::Day, &day);
        self.day = day;
        Ok(())
    }

    fn look(&mut self, class: SpanClass, summary: &Summary) {
        let kept = &mut self.by_class[class as usize];
        let (place, span) = (self.place, summary.span());
        let context = ProfileContext::new(summary);
        let mut take = |group: &CollectorGroup, whole: &CollectorSummary, network: Option<Address>| {
            if whole.subscribers.count() < SUBSCRIBERS_MIN {
                return;
            }
            let label = group.label(summary);
            let party = hash(&[&place.to_be_bytes(), label.as_bytes()]);
            let rank = hash(&[label.as_bytes(), &span.start.0.to_be_bytes(), &span.end.0.to_be_bytes()]);
            let is_over = kept.len() >= PARTIES_MAX && kept.last_key_value().is_some_and(|(last, _)| party > *last);
            if is_over || kept.get(&party).is_some_and(|known| known.rank <= rank) {
                return;
            }
            let service = whole.services.by_count().first().map_or(SERVICE_UNKNOWN, |(service, _)| *service);
            let network = network.map(|network| (place, network));
            kept.insert(party, Kept { rank, network, row: profile_of(group, whole, &context), service });
            if kept.len() > PARTIES_MAX {
                kept.pop_last();
            }
        };
        for (key, one) in summary.collectors.sorted() {
            take(&CollectorGroup::of(*key), one, Some(network_of(key.address)));
        }
        for level in [Level::Prefix, Level::Name] {
            let several = roll_up(summary, level, |_| None).into_iter().filter(|(group, _)| group.addresses.len() > 1);
            several.for_each(|(group, whole)| take(&group, &whole, None));
        }
    }
}

fn hash(parts: &[&[u8]]) -> u64 {
    let mut hasher = SipHasher13::new_with_key(HASH_KEY);
    for part in parts {
        hasher.write_usize(part.len());
        hasher.write(part);
    }
    hasher.finish()
}

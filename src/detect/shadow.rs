//! `shadow-upload`: uploads to one collector that follow each subscriber's own activity, whenever and in proportion as it uses
//! something else.
//! In: followed subscribers of a collector (address, service, domain, or like addresses together), and the subscribers' own
//! timelines. Out: a finding for each collector that shadows its subscribers.
//! What it weighs: the correlation, within each subscriber and over its slots, of the logarithm of what goes up to the
//! collector with that of what moves to and from everyone else in the slot and the one before it, as an upload comes after what
//! it tells of (a common daily rhythm gives no correlation within an hour, and slots shifted against each other give the chance
//! level); proportion: over all uploads of all subscribers, the correlation of their size with what had moved, less two
//! standard errors (a program sends the same part everywhere; an advert that loads with a page follows activity as well, but
//! carries the same whatever was read, and ranks do not mind that hellos and padding are added), or more where many parties are
//! looked at, of late or since it last sent,
//! to the second where the timelines know it; how much sizes scatter about that (what people save when they save it is of all
//! sizes); how seldom it stays silent while the subscriber is busy, or speaks while it is idle; how much more goes up than comes
//! back. Uploads before which nothing was seen to move say nothing of proportion, nor do the others of a subscriber most of
//! whose uploads are such: a home's traffic may go over IPv6 and its uploads over IPv4.
//! The trivial baseline that it must beat: the upload bytes of a collector.

use super::dns_hijack::DNS_OVER_TLS;
use super::dns_hijack::public::{is_known_resolver, is_public};
use super::finding::{Finding, Severity, Technique};
use super::in_step::are_moved;
use super::levels;
use super::scene::{Group, Scene, service_of};
use super::weigh::{Reason, log_ramp, ramp, weigh};
use super::words;
use crate::population::collector::CollectorSummary;
use crate::population::groups::Level;
use crate::units::{Address, DurationNs};

mod lines;
mod shares;

use lines::{Line, Slot, Upload};
use shares::{sealed_share, upload_share, upload_share_unanswered};

/// Fewest subscribers: one that is followed by its own backup is no population.
const SUBSCRIBERS_MIN: u64 = 5;
/// Fewest of them whose time can be compared.
const FOLLOWED_MIN: usize = 3;
/// Data up over all data from which on a party is fed rather than asked.
const UPLOAD_SHARE_MIN: f64 = 0.55;
/// Slots of 32, 64, 256 and 1024 seconds: an upload may gather what happened for a while, and what happened in the minute before
/// one that gathers for half of it is partly told of already. Slots of 16 seconds showed nothing more on tuning seeds.
const SLOT_LEVELS: [u8; 4] = [5, 6, 8, 10];
/// Uploads after activity, over all subscribers, from which a correlation means something: what so few say is held against two
/// standard errors (0.82 for six).
const UPLOADS_MIN: usize = 6;
/// The same of each subscriber.
const UPLOADS_EACH_MIN: f64 = 1.5;
/// Data given over data exchanged with others that no report of a visit comes to.
const VOLUME_SHARE_REPORTED: f64 = 0.03;
/// Bytes with others below which a subscriber is idle: keep-alives, clocks, a handshake that comes to nothing.
const IDLE_BYTES: f64 = 4_000.0;
/// What a TLS client sends behind its hello whatever it has to tell: the change of cipher, Finished, the closing alert (RFC 8446
/// section 4).
const TLS_CLIENT_BYTES: f64 = 88.0;
/// Bytes with others, first flights among them, from which on there is something to tell of.
const TELLING_BYTES: f64 = 2_000.0;
/// Share of a subscriber's uploads before which something was seen to move, from which on their sizes can be compared with that:
/// what most of the others' uploads tell of is not seen here.
const TOLD_MIN: f64 = 0.65;
/// Degrees of freedom from which on a correlation means something.
const FREE_MIN: f64 = 3.0;
/// Proportion beyond two standard errors from which on it is no luck of many collectors looked at many times.
const PROPORTION_SURE: f64 = 0.12;
/// The same where all reasons together come to this score: a party that is fed whenever its subscribers do something, and by no
/// one idle, needs less. Below the score a dozen uploads are in proportion by luck, in one of a hundred hours of a town: no
/// operation of 230 captures was told by less.
const PROPORTION_LIKELY: f64 = 0.05;
const SCORE_STRONG: f64 = 0.7;
/// The same where uploads are so many that sizes alone tell, and the score that it takes then: of 270 captures nothing that is used or
/// reported had both such a proportion and more than a dozen uploads.
const PROPORTION_MEASURED_OUT: f64 = 0.35;
const SCORE_MEASURED_OUT: f64 = 0.5;
/// Growth below which it is no part of what had moved that was given, whatever ranks say: a counter of pages or an agent of the
/// system's maker has more to say of busier minutes too, above all of many homes behind one address, and comes to 0.13 to 0.25.
/// And growth above which it is none either.
const GROWTH_TOLD: std::ops::RangeInclusive<f64> = 0.27..=1.3;
/// The same of a party that gets more than adverts, counters and agents ever do, of active subscribers and hardly of idle ones: its
/// share of all that they exchange with others, and presence, from which on ranks alone tell proportion. What had moved is then seen
/// with errors (of several devices behind one address only one is followed), which flatten a slope and leave ranks.
const GROWTH_OF_MUCH: std::ops::RangeInclusive<f64> = 0.03..=1.3;
const MUCH: f64 = 0.04;
const MUCH_PRESENCE: f64 = 0.4;
/// Share from which on sizes may scatter more, too: several programs of one home, of which one is followed.
const MOST: f64 = 0.1;
const MUCH_SCATTER_MAX: f64 = 1.25;
/// The same of one that gives nothing back, and presence that is enough of it: nothing else that follows activity, a little in
/// proportion, is given a tenth of all. Ranks alone tell its proportion then, as of one that gets much, and few uploads are enough.
const MOST_SCATTER_MAX: f64 = 1.6;
const MOST_PRESENCE: f64 = 0.28;
/// Slots up to which it tells: over a quarter of an hour people save, too, when they are there, and more of what they do more of.
const MOST_SLOT_S: u64 = 256;
/// Uploads below which presence and uploads of each must be at least so much, or hardly less of each with so much presence and
/// proportion: a page's counter follows few visits of few people by luck.
const UPLOADS_FEW: f64 = 24.0;
const FEW_PRESENCE: f64 = 0.4;
const FEW_EACH: f64 = 1.25;
const FEW_BUT_SURE: [f64; 3] = [1.05, 0.6, 0.35];
/// Proportion, less its errors, and growth from which on few uploads tell as much as many.
const EXACT: f64 = 0.8;
const EXACT_GROWTH: std::ops::RangeInclusive<f64> = 0.75..=1.5;
/// Scatter below which sizes lie on a line, however steep: what had moved holds questions and handshakes, of which nothing is told.
const ON_A_LINE: f64 = 0.3;
/// Proportion from which on sizes alone tell, where uploads are at least so many, of all and of each.
const PROPORTION_PLAIN: f64 = 0.7;
const UPLOADS_PLAIN: [f64; 2] = [16.0, 1.2];
/// Data up over data both ways below which a party is answered too: then it must have so many subscribers, and get so large a share of
/// all that they exchange. A resolver, a counter of pages, an advert is asked along with whatever else is done, and more of it where
/// more is done, by a few now and then and of small things.
const FED_ONLY: f64 = 0.92;
const ANSWERED_SUBSCRIBERS_MIN: u64 = 8;
const ANSWERED_VOLUME_MIN: f64 = 0.02;
/// How long one who never answers must be fed: whoever takes part in a flood of datagrams does so for a minute or two, while its people
/// are there or not, and what shadows somebody goes on.
const FLOOD_MAX: DurationNs = DurationNs::from_secs(300);
/// Standard deviation of a size's logarithm about that growth above which nothing was measured out: of 120 operations nine looks
/// in ten have less than 0.86 (1.08 where a program pads what it sends); what ten homes save for themselves, the busy ones more,
/// has 1.1 to 2.2.
const SCATTER_MAX: f64 = 1.05;
/// Circular shifts that show what chance gives.
const SHIFTS: usize = 39;
/// Share of shifted series that may follow as well for a correlation to be more than chance.
const CHANCE_MAX: f64 = 0.05;
/// Levels at which like addresses are taken together; domains come from their own facets.
const SPREAD: [Level; 3] = [Level::Prefix, Level::Asn, Level::CertificateKey];

/// What had moved when something was given: of late, as a program sends that reports at once, or since it last sent, as one
/// does that gathers. Nobody knows which, and both are tried.
type Moved = fn(&Upload) -> f64;
const MOVED: [Moved; 2] = [|upload| upload.recent, |upload| upload.since];
/// Standard errors taken from a proportion where few parties are looked at; and what is added to the luck of the luckiest of many.
const ERRORS: f64 = 2.0;
const OVER_LUCK: f64 = 0.4;

/// How many standard errors off the luckiest of so many lies, with some to spare: the greatest of n normal draws (Cramér 1946).
fn luckiest_of(parties: usize) -> f64 {
    let n = (parties.max(2) as f64).ln();
    let far = (2.0 * n).sqrt();
    far - (n.ln() + (4.0 * std::f64::consts::PI).ln()) / (2.0 * far) + OVER_LUCK
}

/// What is measured of one collector.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measures {
    /// Correlation of what is given with activity, over all slots, −1 to 1.
    pub follows: f64,
    /// Correlation of what one flow gave with what had moved, over all uploads after activity, less two standard errors,
    /// −1 to 1: an advert is as large whatever was read, and of many small ones there are more when more was read.
    pub in_proportion: f64,
    /// How fast that grows: the slope of its logarithm over that of what had moved, 1 where it is a part of it, 0 where sizes
    /// are alike. Ranks alone would take the smallest differences for proportion.
    pub growth: f64,
    /// Standard deviation of the logarithm of sizes about that.
    pub scatter: f64,
    /// Share of busy slots in which something was given, less the share of idle ones.
    pub presence: f64,
    /// Data given over data exchanged with others, in busy slots.
    pub volume_share: f64,
    /// Data up over data both ways.
    pub upload_share: f64,
    /// Subscribers compared.
    pub compared: usize,
    /// Uploads after activity, over these.
    pub uploads_each: f64,
    /// How many of the shifted series follow as well, themselves among them, as a share: the p-value.
    pub chance: f64,
    /// Length of a slot, seconds.
    pub slot_s: u64,
}

/// What is known of a collector as a whole.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Party {
    /// Data up over data both ways.
    upload_share: f64,
    /// Data that a flow's handshake takes, whatever is told.
    handshake: f64,
    /// Standard errors taken from a proportion.
    errors: f64,
}

impl Party {
    /// One of so many that are looked at.
    fn of(whole: &CollectorSummary, parties: usize) -> Self {
        Self {
            upload_share: upload_share_unanswered(whole),
            handshake: sealed_share(whole) * TLS_CLIENT_BYTES,
            errors: luckiest_of(parties).max(ERRORS),
        }
    }
}

impl Measures {
    /// Of one collector, at the slot length that shows it best; none where too little can be compared.
    fn of(scene: &Scene<'_>, group: &Group<'_>, party: Party) -> Option<Self> {
        let sample = group.whole.sample();
        let at_levels = SLOT_LEVELS.into_iter().filter_map(|level| {
            let lines: Vec<Line> = (sample.iter())
                .filter_map(|one| lines::line(scene, group, one, level))
                .filter(|line| !line.uploads.is_empty())
                .collect();
            Self::of_lines(&lines, party, 1 << level)
        });
        Self::that_shows_best(at_levels)
    }

    /// Of measures at several slot lengths. Half a minute counts where it shows something: a program that gathers for minutes
    /// does not there, which is no doubt where longer slots cannot tell.
    fn that_shows_best(at_levels: impl Iterator<Item = Self>) -> Option<Self> {
        let at_levels =
            at_levels.filter(|one| one.slot_s > 1 << SLOT_LEVELS[0] || one.has_proportion(PROPORTION_LIKELY));
        // Over long slots everything agrees and shifts too: what chance cannot do comes before what agrees best.
        let shows = |one: &Self| (one.chance <= CHANCE_MAX, one.has_proportion(PROPORTION_LIKELY));
        let agrees = |one: &Self| one.follows + one.in_proportion;
        at_levels.max_by(|a, b| shows(a).cmp(&shows(b)).then(agrees(a).total_cmp(&agrees(b))))
    }

    fn of_lines(lines: &[Line], party: Party, slot_s: u64) -> Option<Self> {
        let all = || lines.iter().flat_map(|line| &line.slots);
        let told_of = told_of(lines);
        if lines.len() < FOLLOWED_MIN || told_of.iter().flatten().count() < UPLOADS_MIN {
            return None;
        }
        let share_of = |of: &dyn Fn(&Slot) -> bool| {
            let (given, n) = all()
                .filter(|slot| of(slot))
                .fold((0.0, 0.0_f64), |(given, n), slot| (given + f64::from(u8::from(slot.given > 0.0)), n + 1.0));
            given / n.max(1.0)
        };
        let is_busy = |slot: &Slot| slot.recent >= IDLE_BYTES;
        let moved = all()
            .filter(|slot| is_busy(slot))
            .fold([0.0; 2], |[others, given], slot| [others + slot.others, given + slot.given]);
        let follows = correlation(lines, 0, &|slot| slot.given);
        // Each shift turns every subscriber's own slots by another part of their number.
        let as_high = (1..=SHIFTS).filter(|shift| correlation(lines, *shift, &|slot| slot.given) >= follows).count();
        let whatever_sizes = Self {
            follows,
            in_proportion: -1.0,
            growth: 0.0,
            scatter: 0.0,
            presence: share_of(&is_busy) - share_of(&|slot| !is_busy(slot)),
            volume_share: moved[1] / moved[0].max(1.0),
            upload_share: party.upload_share,
            compared: lines.len(),
            uploads_each: told_of.iter().flatten().count() as f64 / lines.len().max(1) as f64,
            chance: (as_high + 1) as f64 / (SHIFTS + 1) as f64,
            slot_s,
        };
        let by_sizes = MOVED.map(|moved| {
            let [growth, scatter] = growth(&told_of, moved, party.handshake);
            Self { in_proportion: proportion(&told_of, moved, party), growth, scatter, ..whatever_sizes }
        });
        let shows = |one: &Self| one.has_proportion(PROPORTION_LIKELY);
        by_sizes.into_iter().max_by(|a, b| shows(a).cmp(&shows(b)).then(a.in_proportion.total_cmp(&b.in_proportion)))
    }

    /// Whether sizes grow with what had moved, beyond two standard errors by at least so much, and by hardly anything else.
    fn has_proportion(&self, least: f64) -> bool {
        let scatter_max = match self.volume_share >= MOST {
            true if self.is_most() => MOST_SCATTER_MAX,
            true if self.is_much() => MUCH_SCATTER_MAX,
            _ => SCATTER_MAX,
        };
        self.in_proportion >= least && self.grows() && self.scatter <= scatter_max
    }

    /// Whether an upload is a part of what had moved.
    fn grows(&self) -> bool {
        let is_steep = self.scatter <= ON_A_LINE && EXACT_GROWTH.contains(&self.growth);
        let is_fed_much = self.is_much() || self.is_most();
        GROWTH_TOLD.contains(&self.growth) || is_fed_much && GROWTH_OF_MUCH.contains(&self.growth) || is_steep
    }

    /// Whether it is given more than adverts, counters and agents are.
    fn is_much(&self) -> bool {
        self.volume_share >= MUCH && self.presence >= MUCH_PRESENCE
    }

    /// Whether it is given a tenth of all and gives nothing back.
    fn is_most(&self) -> bool {
        let is_fed = self.volume_share >= MOST && self.upload_share >= FED_ONLY;
        is_fed && self.presence >= MOST_PRESENCE && self.slot_s <= MOST_SLOT_S
    }

    /// Whether less proportion than is sure alone will do, where everything together comes to `score`.
    fn is_likely(&self, score: f64) -> bool {
        let is_strong = score >= SCORE_STRONG && self.has_proportion(PROPORTION_LIKELY) && self.is_repeated();
        is_strong || score >= SCORE_MEASURED_OUT && self.is_measured_out()
    }

    /// Whether sizes alone tell: many uploads of each, every one about a part of what had moved. When they leave tells less then: behind
    /// one address others move something all the time.
    fn is_measured_out(&self) -> bool {
        let uploads = self.uploads_each * self.compared as f64;
        let [all, each] = match self.has_proportion(PROPORTION_PLAIN) {
            true => UPLOADS_PLAIN,
            false => [UPLOADS_FEW, UPLOADS_EACH_MIN],
        };
        self.has_proportion(PROPORTION_MEASURED_OUT) && uploads >= all && self.uploads_each >= each
    }

    /// Whether it gives as well, and is asked by so few, or so little, that it may be a service that everything else calls along.
    fn is_called_along(&self, subscribers: u64) -> bool {
        self.upload_share < FED_ONLY
            && (subscribers < ANSWERED_SUBSCRIBERS_MIN || self.volume_share < ANSWERED_VOLUME_MIN)
    }

    /// Whether it was given to again and again, or a good part of all that moved, as what follows somebody is: a report at the end
    /// of a visit comes once, and is small; and whether few uploads come with activity nearly always, and more than once from some.
    fn is_repeated(&self) -> bool {
        let [each, presence, proportion] = FEW_BUT_SURE;
        let is_sure = self.uploads_each >= each && self.presence >= presence && self.in_proportion >= proportion;
        let is_each = self.uploads_each >= FEW_EACH || is_sure;
        let is_often = self.uploads_each * self.compared as f64 >= UPLOADS_FEW;
        (self.uploads_each >= UPLOADS_EACH_MIN || self.volume_share >= VOLUME_SHARE_REPORTED)
            && (is_often || (self.presence >= FEW_PRESENCE || self.is_most()) && is_each || self.is_exact())
    }

    /// Whether every upload is the same part of what had moved, to a party that only takes: chance does not do that a few times either.
    fn is_exact(&self) -> bool {
        self.in_proportion >= EXACT && EXACT_GROWTH.contains(&self.growth) && self.upload_share >= FED_ONLY
    }

    fn reasons(&self, subscribers: u64) -> Vec<Reason> {
        let grown = ramp(self.growth, 0.05, 0.25).max(if self.grows() { 0.7 } else { 0.0 });
        vec![
            Reason::number(
                "in_proportion",
                self.in_proportion,
                "correlation",
                ramp(self.in_proportion, 0.0, 0.35),
                0.2,
            ),
            Reason::number("growth", self.growth, "ratio", grown, 0.1),
            Reason::number("follows_activity", self.follows, "correlation", ramp(self.follows, 0.25, 0.55), 0.2),
            Reason::number("presence", self.presence, "ratio", ramp(self.presence, 0.1, 0.5), 0.15),
            Reason::number("upload_share", self.upload_share, "ratio", ramp(self.upload_share, 0.5, 0.85), 0.15),
            Reason::number(
                "subscribers_distinct",
                subscribers as f64,
                "subscribers",
                log_ramp(subscribers as f64, 2.0, 10.0),
                0.1,
            ),
            // A shadow is smaller than what it follows: of two that go together the larger one is what people do.
            Reason::number(
                "volume_share",
                self.volume_share,
                "ratio",
                log_ramp(self.volume_share, 0.0005, 0.005).min(ramp(self.volume_share, 1.2, 0.6)),
                0.1,
            ),
        ]
    }
}

/// Correlation of activity with `of` at another time: turned by at least an eighth of the slots, so that what lasts for some
/// slots does not meet itself, and further by one part of [`SHIFTS`]; not at all for shift 0.
fn correlation(lines: &[Line], shift: usize, of: &dyn Fn(&Slot) -> f64) -> f64 {
    let turned = lines.iter().map(|Line { slots, .. }| {
        let n = slots.len();
        let turn = if shift == 0 { 0 } else { n / 8 + (n - n / 4) * (shift - 1) / SHIFTS };
        (0..n).map(|i| (slots[i].recent.ln_1p(), of(&slots[(i + turn) % n]).ln_1p())).collect()
    });
    pooled(turned)
}

/// What is told of by size: uploads after activity, of subscribers most of whose uploads are.
fn told_of(lines: &[Line]) -> Vec<Vec<&Upload>> {
    let of_one = lines.iter().map(|line| {
        let told: Vec<&Upload> = line.uploads.iter().filter(is_told_of).collect();
        if told.len() as f64 >= TOLD_MIN * line.uploads.len() as f64 { told } else { Vec::new() }
    });
    of_one.collect()
}

/// Whether something was given after activity.
fn is_told_of(upload: &&Upload) -> bool {
    upload.since.max(upload.recent) >= TELLING_BYTES
}

/// Correlation of what had moved with what a flow gave, over uploads after activity, less two standard errors: of ranks, which
/// mind neither outliers nor what is added to every size, or of logarithms, which say more where a few uploads differ much; over
/// all subscribers together, as what one program sends is the same part everywhere and few uploads of each are enough, or about
/// each subscriber's own means, where some add more of their own than others. −1 where too few say anything.
fn proportion(told_of: &[Vec<&Upload>], moved: Moved, party: Party) -> f64 {
    let all = || told_of.iter().flatten();
    let ranked = ranks(all().map(|upload| moved(upload)).collect())
        .into_iter()
        .zip(ranks(all().map(|upload| upload.size).collect()));
    let measured = all().map(|upload| (moved(upload).ln_1p(), told_size(upload, party.handshake).ln_1p()));
    let (n, own_means) = (all().count() as f64, told_of.iter().filter(|own| !own.is_empty()).count() as f64);
    let surest = |pairs: &[(f64, f64)]| {
        let mut rest = pairs;
        let by_subscriber = told_of.iter().map(|own| {
            let (own, others) = rest.split_at(own.len());
            rest = others;
            own.to_vec()
        });
        let apart = surely(pooled(by_subscriber), n - own_means - 2.0, party.errors);
        surely(pooled(std::iter::once(pairs.to_vec())), n - 3.0, party.errors).max(apart)
    };
    surest(&ranked.collect::<Vec<_>>()).max(surest(&measured.collect::<Vec<_>>()))
}

/// A correlation less so many standard errors: Fisher's transformation has one of 1/√(n − 3) whatever the correlation is.
fn surely(found: f64, free: f64, errors: f64) -> f64 {
    match free {
        FREE_MIN.. => (found.clamp(-0.999, 0.999).atanh() - errors / free.sqrt()).tanh(),
        _ => -1.0,
    }
}

/// What a flow gave, but for what its handshake takes.
fn told_size(upload: &Upload, handshake: f64) -> f64 {
    (upload.size - handshake).max(upload.size / 2.0)
}

/// Least-squares slope of the logarithm of what a flow gave, but for what its handshake takes, over that of what had moved; and
/// the standard deviation about it.
fn growth(told_of: &[Vec<&Upload>], moved: Moved, handshake: f64) -> [f64; 2] {
    let size = |upload: &Upload| told_size(upload, handshake);
    let pairs = || told_of.iter().flatten().map(|upload| (moved(upload).ln_1p(), size(upload).ln_1p()));
    let count = pairs().count().max(1) as f64;
    let mean = pairs().fold((0.0, 0.0), |(x, y), pair| (x + pair.0 / count, y + pair.1 / count));
    let (xy, xx, yy) = pairs().fold((0.0, 0.0, 0.0), |(xy, xx, yy), (x, y)| {
        let (dx, dy) = (x - mean.0, y - mean.1);
        (xy + dx * dy, xx + dx * dx, yy + dy * dy)
    });
    let slope = if xx > 0.0 { xy / xx } else { 0.0 };
    [slope, ((yy - slope * xy) / count).max(0.0).sqrt()]
}

/// Ranks of values, equal ones sharing the mean of theirs.
fn ranks(values: Vec<f64>) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    for equal in order.chunk_by(|a, b| values[*a] == values[*b]) {
        let below = order.partition_point(|at| values[*at] < values[equal[0]]) as f64;
        let rank = below + (equal.len() as f64 - 1.0) / 2.0;
        equal.iter().for_each(|at| ranks[*at] = rank);
    }
    ranks
}

/// Correlation over all subscribers, each about its own means. 0 where either does not vary.
fn pooled(lines: impl Iterator<Item = Vec<(f64, f64)>>) -> f64 {
    let (mut xy, mut xx, mut yy) = (0.0, 0.0, 0.0);
    for pairs in lines {
        let count = pairs.len().max(1) as f64;
        let mean = pairs.iter().fold((0.0, 0.0), |(x, y), pair| (x + pair.0 / count, y + pair.1 / count));
        for (x, y) in pairs {
            let (dx, dy) = (x - mean.0, y - mean.1);
            (xy, xx, yy) = (xy + dx * dy, xx + dx * dx, yy + dy * dy);
        }
    }
    if xx > 0.0 && yy > 0.0 { xy / (xx * yy).sqrt() } else { 0.0 }
}

/// Whether it is asked for names, sealed (RFC 7858, RFC 8484): what is asked follows whatever is done, and more is asked where
/// more is done. Whether it may be asked is another technique's.
fn is_resolver(scene: &Scene<'_>, group: &Group<'_>) -> bool {
    let is_asked = |address: &Address| {
        let whole = scene.collector(group.of.population, *address);
        is_known_resolver(*address)
            || address.is_v4() && is_public(*address)
            || whole.is_some_and(super::beaconing::is_asked_over_tls)
    };
    service_of(&group.whole).is_some_and(|at| at.port == DNS_OVER_TLS) || group.of.addresses.iter().all(is_asked)
}

/// Whether a party was sent something for a moment and never answered.
fn is_flooded(whole: &CollectorSummary) -> bool {
    whole.rows_answered == 0 && whole.totals.data_bytes[1] == 0 && whole.seen.length() < FLOOD_MAX
}

/// See the file's header.
pub fn detect(scene: &Scene<'_>, findings: &mut Vec<Finding>) {
    let is_fed = |one: &CollectorSummary, share: f64| share >= UPLOAD_SHARE_MIN && one.totals.data_bytes[0] >= 4_096;
    let is_fed_alone = |one: &CollectorSummary| is_fed(one, upload_share_unanswered(one));
    let mut groups = scene.alone(|(_, one)| one.subscribers.count() >= SUBSCRIBERS_MIN && is_fed_alone(one));
    let facets = levels::facets(scene, Technique::ShadowUpload, |facet| facet.subscribers.count() >= SUBSCRIBERS_MIN);
    groups.extend(facets.filter(|group| is_fed_alone(&group.whole)));
    let is_fed_together = |one: &CollectorSummary| is_fed(one, upload_share(one));
    let together = levels::together(scene, Technique::ShadowUpload, &SPREAD, SUBSCRIBERS_MIN, is_fed_together);
    // Peers side by side serve each at a port of its own, and share their few partners.
    let is_party = |group: &Group<'_>| {
        let members = group.of.addresses.iter().filter_map(|address| scene.collector(group.of.population, *address));
        let mut services = members.map(service_of);
        let first = services.next();
        group.whole.subscribers.count() >= SUBSCRIBERS_MIN && services.all(|service| Some(service) == first)
    };
    groups.extend(together.into_iter().filter(is_party));
    // A copy of everything follows everything: `traffic-mirroring` speaks of those.
    let tunnels = scene.tunnel_ends();
    groups.retain(|group| !is_resolver(scene, group) && !group.is_at(&tunnels) && !is_flooded(&group.whole));
    let parties = groups.len();
    for group in groups {
        let party = Party::of(&group.whole, parties);
        let Some(measures) = Measures::of(scene, &group, party) else { continue };
        let subscribers = group.whole.subscribers.count();
        let (score, _) = weigh(measures.reasons(subscribers));
        // What one order moves follows none of them.
        let is_likely =
            measures.is_likely(score) && !measures.is_called_along(subscribers) && !are_moved(&group.whole.sample());
        if measures.chance > 0.1 || !is_likely {
            let who = (group.of.population, group.key.as_str());
            scene.doubt(Technique::ShadowUpload, who, group.whole.totals.packets_both(), score);
        }
        let is_sure = score >= 0.75
            && is_likely
            && measures.chance <= CHANCE_MAX
            && measures.has_proportion(PROPORTION_SURE)
            && measures.is_repeated();
        let severity = match score {
            // What shifted series do as well is chance, whatever it looks like.
            _ if measures.chance > 0.1 => continue,
            _ if is_sure => Severity::High,
            _ if is_likely => Severity::Medium,
            // One that a later look would not say again stays in a store.
            0.45.. if measures.has_proportion(0.0) => Severity::Low,
            _ => continue,
        };
        findings.push(finding(scene, &group, &measures, severity, score));
    }
}

fn finding(scene: &Scene<'_>, group: &Group<'_>, measures: &Measures, severity: Severity, score: f64) -> Finding {
    let subscribers = group.whole.subscribers.count();
    let blank = scene.blank(Technique::ShadowUpload, group);
    let who = group.spoken(&blank.collector.names);
    let (_, evidence) = weigh(measures.reasons(subscribers));
    Finding {
        severity,
        score,
        p_value: measures.chance,
        evidence,
        headline: format!(
            "Uploads of {} to {who} follow whatever else they do",
            words::counted(subscribers, "subscriber")
        ),
        explanation: format!(
            "{} send data to {who} whenever they use something else, and the more they use it the more leaves: over slots of \
             {}, compared within each of {} subscribers, what goes up to it follows the traffic with everyone else \
             (correlation {:.2}, in proportion {:.2}; series shifted in time do not). {:.1} % of that traffic's volume goes \
             there, and hardly anything comes back; about what it should be by what had moved, an upload is larger or smaller \
             by a factor of {:.1}. A page's adverts do not behave so, nor does a backup. Find the program \
             on these devices that watches what they do (a browser extension, a keyboard, an agent), ask its maker for the \
             legal basis, and either register the collector in the policy or block it.",
            words::counted(subscribers, "subscriber"),
            words::seconds(measures.slot_s as f64),
            measures.compared,
            measures.follows,
            measures.in_proportion,
            100.0 * measures.volume_share,
            measures.scatter.exp(),
        ),
        ..blank
    }
}

#[cfg(test)]
mod tests;

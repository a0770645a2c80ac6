//! Onset: a hello that begins to answer in the place of many owners' servers at one moment.
//! In: the questions that a hello answered beside others, with the times of each answer. Out: what speaks for somebody who came
//! into the path then, for everybody or for a part of the callers, always or now and then.
//! A fleet half of which was renewed answers either way from the first question on; one that is renewed while somebody looks has one
//! owner; a switch to another network asks another network. Many owners' servers that all were asked before, all answered
//! otherwise, and all begin with one hello after one moment, have something in common that is not theirs.
//! Not seen: one who began before the capture; names that were not asked before.

use std::collections::BTreeSet;

use super::{Asked, Operator, RIVALS_MIN, Scene};
use crate::detect::interception::Contest;
use crate::detect::weigh::{Reason, log_ramp, ramp, weigh};
use crate::population::hellos::{HelloMark, Question};
use crate::population::sketch::Merge;
use crate::population::span::Seen;
use crate::population::texts::TextId;
use crate::units::{DurationNs, TimestampNs};

/// Domains, and operators, below which it may be one owner's roll-out.
const DOMAINS_MIN: usize = 5;
const OPERATORS_MIN: usize = 4;
/// Share of the contested questions that must have been asked before the moment.
const ASKED_BEFORE_MIN: f64 = 0.6;
/// How long before it.
const BEFORE: DurationNs = DurationNs::from_secs(60);
/// The most that its share of a question's answers counts for: one more of each would make anything certain.
const SHARE_MAX: f64 = 0.9;
/// Nats between which opinion turns: 9 are one in eight thousand, and parties are many.
const SURPRISE: (f64, f64) = (9.0, 18.0);

/// What is known of one question.
struct Answers {
    domain: TextId,
    operator: Operator,
    /// By the hello that is looked at, and by others.
    mine: (u64, Seen),
    others: (u64, Seen),
}

impl Answers {
    fn of(scene: &Scene<'_>, mark: HelloMark, (key, question): &Asked<'_>) -> Option<Self> {
        let domain = question.domain?;
        let mut answers = Self {
            domain,
            operator: Operator::of(scene, key.network),
            mine: Default::default(),
            others: Default::default(),
        };
        for (hello, told) in Question::told(question) {
            let (rows, seen) = if *hello == mark { &mut answers.mine } else { &mut answers.others };
            *rows = rows.saturating_add(told.rows);
            seen.merge(told.seen);
        }
        (answers.mine.0 > 0 && answers.others.0 > 0).then_some(answers)
    }

    /// How unlikely it is, in nats, that none of the answers before a moment was this hello, had it always had its share.
    fn surprise(&self, moment: TimestampNs) -> f64 {
        let (mine, others) = (self.mine.0 as f64, self.others.0 as f64);
        let last = self.mine.1.last.max(self.others.1.last);
        let first = self.others.1.first;
        let before = moment.since(first).as_secs_f64() / last.since(first).as_secs_f64().max(1.0);
        let share = (mine / (mine + others)).min(SHARE_MAX);
        -(mine + others) * before.min(1.0) * (1.0 - share).ln()
    }
}

/// See the file's header; `rivals` are the kinds of hello that others get.
pub(super) fn begun_at_once(scene: &Scene<'_>, mark: HelloMark, asked: &[Asked<'_>], rivals: usize) -> Option<Contest> {
    let all: Vec<Answers> = asked.iter().filter_map(|one| Answers::of(scene, mark, one)).collect();
    let moment = all.iter().map(|one| one.mine.1.first).min()?;
    let is_known = |one: &&Answers| moment.since(one.others.1.first) > BEFORE;
    let known: Vec<&Answers> = all.iter().filter(is_known).collect();
    let domains = known.iter().map(|one| one.domain).collect::<BTreeSet<_>>().len();
    let operators = known.iter().map(|one| one.operator).collect::<BTreeSet<_>>().len();
    if rivals < RIVALS_MIN
        || domains < DOMAINS_MIN
        || operators < OPERATORS_MIN
        || (known.len() as f64) < ASKED_BEFORE_MIN * all.len() as f64
    {
        return None;
    }
    let surprise: f64 = known.iter().map(|one| one.surprise(moment)).sum();
    let [domains_f, operators_f, rivals_f] = [domains, operators, rivals].map(|n| n as f64);
    let (score, evidence) = weigh(vec![
        Reason::number("onset_surprise", surprise, "nats", ramp(surprise, SURPRISE.0, SURPRISE.1), 0.4),
        Reason::number("domains", domains_f, "domains", log_ramp(domains_f, 3.0, 10.0), 0.2),
        Reason::number("networks", operators_f, "networks", log_ramp(operators_f, 2.0, 6.0), 0.2),
        Reason::number("rival_hellos", rivals_f, "hellos", if rivals > RIVALS_MIN { 1.0 } else { 0.8 }, 0.2),
    ]);
    let what = format!(
        "The certificates are sealed (TLS 1.3), so this is told from the servers' hellos: {domains} domains in {operators} networks \
         that were asked before, and answered otherwise, all begin with one hello after one moment, though their owners have \
         nothing in common. ",
    );
    Some(Contest { score, evidence, what })
}

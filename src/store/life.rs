//! The life of a finding: new, open, grown, ended, acknowledged, false alarm, reopened.
//! In: how it stands, how it stood when people were last told of it, what they said of it. Out: its state.
//! A function of those alone, so that a sweep that was cut short and its rerun come to the same.

use serde::{Deserialize, Serialize};

use crate::detect::finding::{Finding, Severity};
use crate::units::TimestampNs;

/// Subscribers or bytes over those of before from which on a finding has grown.
const GROWTH: f64 = 1.5;
/// Subscribers that it must have gained as well: three where there were two are no news.
const SUBSCRIBERS_GAINED_MIN: u64 = 5;
/// Bytes that it must have gained as well.
const BYTES_GAINED_MIN: u64 = 1 << 20;
/// False alarms of a technique from which on its bar is raised.
const BAR_MIN: usize = 3;

/// Where a finding is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Nobody was told of it yet.
    New,
    /// Told of before, but worse, wider or larger since.
    Grown,
    /// It came back after it had ended, or grew beyond what was acknowledged or marked false.
    Reopened,
    /// Told of, and still there.
    Open,
    /// Seen by someone who takes care of it.
    Acknowledged,
    /// Not seen any more for as long as the sweep waits.
    Ended,
    /// Marked false, or like one that was; shown folded.
    FalseAlarm,
}

impl State {
    /// All of them, the most urgent first.
    pub const ALL: [Self; 7] =
        [Self::New, Self::Grown, Self::Reopened, Self::Open, Self::Acknowledged, Self::Ended, Self::FalseAlarm];

    /// The word in every output.
    pub fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Grown => "grown",
            Self::Reopened => "reopened",
            Self::Open => "open",
            Self::Acknowledged => "acknowledged",
            Self::Ended => "ended",
            Self::FalseAlarm => "false-alarm",
        }
    }

    /// The state of that word.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether someone should look.
    pub fn is_news(self) -> bool {
        matches!(self, Self::New | Self::Grown | Self::Reopened)
    }
}

/// How a finding stands at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Its severity as judged.
    pub severity: Severity,
    /// Its subscribers.
    pub subscribers: u64,
    /// Bytes from the population on its worst day.
    pub bytes_up: u64,
    /// Its last packet.
    pub last: TimestampNs,
}

impl Standing {
    /// Of a finding.
    pub fn of(finding: &Finding) -> Self {
        let (subscribers, bytes_up) = (finding.population.subscribers, finding.bytes_up);
        Self { severity: finding.severity, subscribers, bytes_up, last: finding.end }
    }

    /// Whether it is worse, wider or larger than it was.
    pub fn has_grown_since(&self, before: &Self) -> bool {
        let by_much =
            |now: u64, then: u64, gained: u64| now as f64 >= then as f64 * GROWTH && now.saturating_sub(then) >= gained;
        self.severity > before.severity
            || by_much(self.subscribers, before.subscribers, SUBSCRIBERS_GAINED_MIN)
            || by_much(self.bytes_up, before.bytes_up, BYTES_GAINED_MIN)
    }
}

/// What people were told last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// How it stood.
    pub standing: Standing,
    /// In which state.
    pub state: State,
}

/// What someone said of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MarkKind {
    /// Seen, and taken care of.
    Acknowledged,
    /// Not what it says.
    FalseAlarm,
    /// Neither any more.
    Reopened,
}

impl MarkKind {
    /// The word in the store and in every output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Acknowledged => "acknowledged",
            Self::FalseAlarm => "false-alarm",
            Self::Reopened => "reopened",
        }
    }

    /// The kind of that word.
    pub fn of_name(name: &str) -> Option<Self> {
        [Self::Acknowledged, Self::FalseAlarm, Self::Reopened].into_iter().find(|kind| kind.name() == name)
    }
}

/// All that a finding's state depends on.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// How it stands.
    pub now: Standing,
    /// Days that hold it; none after a register entry or a model was changed so that it is no finding any more.
    pub days: u64,
    /// What was told.
    pub told: Option<Told>,
    /// The last that someone said of it, and how it stood then.
    pub mark: Option<(MarkKind, Standing)>,
    /// How the false alarm stood that it is like.
    pub alike: Option<Standing>,
    /// What was not seen since has ended.
    pub silent_before: TimestampNs,
}

/// The state that follows.
pub fn state_of(facts: &Facts) -> State {
    let Facts { now, days, told, mark, alike, silent_before } = facts;
    if *days == 0 {
        return State::Ended;
    }
    match mark {
        Some((MarkKind::FalseAlarm, then)) if !now.has_grown_since(then) => return State::FalseAlarm,
        Some((MarkKind::Acknowledged, then)) if !now.has_grown_since(then) => return State::Acknowledged,
        None if alike.is_some_and(|then| !now.has_grown_since(&then)) => return State::FalseAlarm,
        _ => {}
    }
    let Some(told) = told else { return State::New };
    let came_back = match told.state {
        State::Acknowledged | State::FalseAlarm => true,
        State::Ended => now.last > told.standing.last,
        _ => false,
    };
    if came_back {
        return State::Reopened;
    }
    if told.state == State::Ended || now.last < *silent_before {
        return State::Ended;
    }
    match now.has_grown_since(&told.standing) {
        true => State::Grown,
        false => State::Open,
    }
}

/// How much false alarms of a technique lower what resembles them. None is proof against what packets prove.
#[derive(Clone, Debug, Default)]
pub struct Bar {
    scores: Vec<f64>,
}

impl Bar {
    /// Adds the score of a false alarm.
    pub fn add(&mut self, score: f64) {
        let at = self.scores.partition_point(|known| *known >= score);
        self.scores.insert(at, score);
    }

    /// The severity that a finding of the technique is shown with, and why where it is another.
    pub fn shown(&self, severity: Severity, score: f64) -> (Severity, Option<String>) {
        let lower = match severity {
            Severity::High => Severity::Medium,
            Severity::Medium => Severity::Low,
            other => return (other, None),
        };
        // The second highest: one odd false alarm does not raise the bar for all.
        match self.scores.get(1) {
            Some(bar) if self.scores.len() >= BAR_MIN && score <= *bar => {
                let note = format!(
                    "Shown as {} instead of {}: {} findings of this technique were marked false, and this one speaks no \
                     louder than they did.",
                    lower.name(),
                    severity.name(),
                    self.scores.len()
                );
                (lower, Some(note))
            }
            _ => (severity, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(severity: Severity, subscribers: u64, last: u64) -> Standing {
        Standing { severity, subscribers, bytes_up: 0, last: TimestampNs(last) }
    }

    #[test]
    fn states_follow_from_the_facts() {
        let now = standing(Severity::High, 100, 50);
        let told = |state, standing| Some(Told { standing, state });
        let facts = Facts { now, days: 1, told: None, mark: None, alike: None, silent_before: TimestampNs(10) };
        let wider = standing(Severity::High, 200, 50);
        let table = [
            ("first", facts, State::New),
            ("told", Facts { told: told(State::New, now), ..facts }, State::Open),
            ("wider", Facts { told: told(State::Open, now), now: wider, ..facts }, State::Grown),
            ("worse", Facts { told: told(State::Open, standing(Severity::Low, 100, 50)), ..facts }, State::Grown),
            ("silent", Facts { told: told(State::Open, now), silent_before: TimestampNs(51), ..facts }, State::Ended),
            ("still over", Facts { told: told(State::Ended, now), ..facts }, State::Ended),
            ("back", Facts { told: told(State::Ended, standing(Severity::High, 100, 5)), ..facts }, State::Reopened),
            ("gone", Facts { told: told(State::Open, now), days: 0, ..facts }, State::Ended),
            ("seen to", Facts { mark: Some((MarkKind::Acknowledged, now)), ..facts }, State::Acknowledged),
            ("false", Facts { mark: Some((MarkKind::FalseAlarm, now)), ..facts }, State::FalseAlarm),
            (
                "false, but it grew",
                Facts {
                    mark: Some((MarkKind::FalseAlarm, now)),
                    told: told(State::FalseAlarm, now),
                    now: wider,
                    ..facts
                },
                State::Reopened,
            ),
            ("like a false one", Facts { alike: Some(now), ..facts }, State::FalseAlarm),
            ("wider than the false one", Facts { alike: Some(now), now: wider, ..facts }, State::New),
            (
                "taken up again",
                Facts { mark: Some((MarkKind::Reopened, now)), told: told(State::FalseAlarm, now), ..facts },
                State::Reopened,
            ),
        ];
        for (name, facts, wanted) in table {
            assert_eq!(state_of(&facts), wanted, "{name}");
        }
        for state in State::ALL {
            assert_eq!(State::of_name(state.name()), Some(state));
        }
    }

    #[test]
    fn a_bar_needs_several_false_alarms_and_never_hides_proof() {
        let mut bar = Bar::default();
        bar.add(0.9);
        bar.add(0.8);
        assert_eq!(bar.shown(Severity::High, 0.5).0, Severity::High, "two are not enough");
        bar.add(0.7);
        let table = [
            (Severity::High, 0.8, Severity::Medium),
            (Severity::Medium, 0.5, Severity::Low),
            (Severity::High, 0.85, Severity::High),
            (Severity::Critical, 0.1, Severity::Critical),
            (Severity::Info, 0.1, Severity::Info),
        ];
        for (severity, score, wanted) in table {
            let (shown, note) = bar.shown(severity, score);
            assert_eq!(shown, wanted, "{severity:?} {score}");
            assert_eq!(note.is_some(), shown != severity);
        }
    }
}

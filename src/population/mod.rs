//! Flows and observations in, a mergeable summary per population, collector and window out.
//! In: flow rows, codewords and observations of one worker, and who protects whom. Out: a [`Summary`], and from it profiles
//! of collectors.
//! Bounds: every map has a limit in [`SummaryLimits`]; what does not fit goes to its `others` total and is counted.
//! Time: packet timestamps only. Not here: what a profile means (`model`, `detect`).
//!
//! # Law
//! [`Summary::merge`] is associative and commutative and has [`Summary::empty`] as its identity, bit for bit in
//! [`Summary::to_bytes`]. A summary is a function of the multiset of its rows and observations, whoever saw them in which
//! order, as long as no table of [`SummaryLimits`] was full while rows were added (then [`Summary::limit_hits`] says so).
//! For this every sum is an integer, and every small set keeps its members by a rule that does not know of order.

pub mod answered;
pub mod binary;
pub mod carrier;
pub mod collector;
pub mod conflict;
pub mod earliest;
pub mod facet;
pub mod forgery;
pub mod forget;
pub mod groups;
pub mod hellos;
pub mod identity;
pub mod limits;
pub mod pace;
pub mod pair;
pub mod places;
pub mod populations;
pub mod profile;
pub mod quartiles;
pub mod resolved;
pub mod role;
pub mod served;
pub mod servers;
pub mod sketch;
pub mod softwire;
pub mod span;
pub mod stitch;
pub mod summary;
pub mod table;
pub mod texts;
pub mod totals;
pub mod zones;

pub use collector::{CollectorKey, CollectorSummary};
pub use facet::{DomainKey, DomainSummary, Facet};
pub use groups::{CollectorGroup, GroupName, Level, roll_up};
pub use identity::{Party, SubscriberIdentity};
pub use limits::{LimitHits, SummaryLimits};
pub use pair::{AskedInside, Minutes, PairKey, PairSummary, SubscriberKey, SubscriberSummary};
pub use populations::{PopulationIndex, PopulationSpec, Populations, PopulationsError};
pub use profile::{PROFILE_FEATURES, PROFILE_LEN, ProfileContext, ProfileFeature, profile_of, profile_set_hash};
pub use role::Role;
pub use span::{Span, SpanClass};
pub use summary::{AddContext, Copies, MergeError, Room, Summary};

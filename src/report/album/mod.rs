//! Album: the pictures behind findings, gathered while windows go by.
//! In: the summary of each window, in order or not; at the end the findings. Out: for each finding its collector's volume
//! over time beside its population's, and all popular collectors as points in a plane.
//! Bounds: [`curve::CURVES_MAX`] curves of [`curve::SLOTS_MAX`] slots, [`plane::PROFILES_MAX`] profiles; what does not fit is
//! counted. Time: packet time. Not here: how a picture looks (`html`).

pub mod curve;
pub mod plane;

use curve::{Curve, CurveBook};
use plane::{Plane, ProfileBook};

use crate::detect::finding::Finding;
use crate::population::{Populations, Summary};

/// What is gathered.
#[derive(Debug, Default)]
pub struct Album {
    curves: CurveBook,
    profiles: ProfileBook,
}

/// What a report shows.
#[derive(Clone, Debug, Default)]
pub struct Pictures {
    /// One for each finding, in the order in which they were given.
    pub curves: Vec<Option<Pair>>,
    /// Popular collectors by their profiles; none where there were too few to tell what is usual.
    pub plane: Option<Plane>,
    /// Curves that were not kept for want of room.
    pub curves_left_out: u64,
}

/// A collector over time, beside the population that it collects from.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    /// Payload bytes both ways between the collector and the population.
    pub collector: Curve,
    /// The same between the population and everybody outside.
    pub population: Curve,
}

impl Album {
    /// Takes a window in.
    pub fn window(&mut self, summary: &Summary) {
        self.curves.window(summary);
        self.profiles.window(summary);
    }

    /// The pictures for these findings.
    pub fn close(&self, findings: &[Finding], populations: &Populations) -> Pictures {
        let pair = |finding: &Finding| {
            let whose = populations.called(&finding.population.name);
            Some(Pair {
                collector: self.curves.of_addresses(&whose, &finding.collector.addresses)?,
                population: self.curves.of_populations(&whose)?,
            })
        };
        Pictures {
            curves: findings.iter().map(pair).collect(),
            plane: self.profiles.plane(findings, populations),
            curves_left_out: self.curves.left_out(),
        }
    }
}

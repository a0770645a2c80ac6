//! Flow sink: rows of the pipeline to a file or to standard output, with their features.
//! In: rows, part by part. Out: records in the chosen format, subscribers under their pseudonyms unless revealed.
//! Bounds: the rows of one part and their features.

use std::path::{Path, PathBuf};

use super::output::{OutputError, named};
use crate::features::{self, FEATURES, FeatureMatrix};
use crate::flow::row::FlowColumns;
use crate::population::Populations;
use crate::privacy::Pseudonymiser;
use crate::report::flows::{Destination, FlowFormat, FlowSink, PartFile};
use crate::units::Address;

/// A sink that is open.
pub struct FlowFile<'a> {
    sink: Box<dyn FlowSink + 'a>,
    /// None for standard output.
    path: Option<PathBuf>,
    matrix: FeatureMatrix,
    columns: Vec<Vec<f32>>,
}

/// How subscribers stand in flow records.
pub struct Naming<'a> {
    /// Who is a subscriber.
    pub populations: &'a Populations,
    /// Who makes pseudonyms; none where addresses are revealed.
    pub pseudonymiser: Option<&'a Pseudonymiser>,
}

impl<'a> FlowFile<'a> {
    /// Opens the file, or standard output where there is no path.
    pub fn create(path: Option<&Path>, format: FlowFormat, naming: Naming<'a>) -> anyhow::Result<Self> {
        let path = path.filter(|path| *path != Path::new("-"));
        let destination = match path {
            Some(path) => Destination::File(PartFile::create(path).map_err(OutputError::at(path))?),
            None => Destination::stream(std::io::stdout()),
        };
        let names: Vec<&str> = FEATURES.iter().map(|feature| feature.name).collect();
        let Naming { populations, pseudonymiser } = naming;
        let mut cache = pseudonymiser.map(|p| crate::privacy::PseudonymCache::new(p.clone()));
        let show = move |address: Address| match &mut cache {
            Some(cache) if populations.of(address).is_some() => cache.pseudonym(address),
            _ => address,
        };
        let sink = format.open(destination, &names, Box::new(show))?;
        let columns = vec![Vec::new(); FEATURES.len()];
        Ok(Self { sink, path: path.map(Path::to_owned), matrix: FeatureMatrix::new(), columns })
    }

    /// Writes a part of the rows.
    pub fn write(&mut self, rows: &FlowColumns) -> std::io::Result<()> {
        features::compute(rows, &mut self.matrix);
        self.columns.iter_mut().for_each(Vec::clear);
        for block in self.matrix.blocks() {
            for (feature, column) in self.columns.iter_mut().enumerate() {
                column.extend_from_slice(block.column(feature));
            }
        }
        let columns: Vec<(&str, &[f32])> =
            FEATURES.iter().zip(&self.columns).map(|(feature, column)| (feature.name, column.as_slice())).collect();
        self.sink.write(rows, &columns).map_err(|error| named(error, self.path.as_deref()))
    }

    /// Puts the file into its place.
    pub fn finish(self) -> std::io::Result<()> {
        self.sink.finish().map_err(|error| named(error, self.path.as_deref()))
    }
}

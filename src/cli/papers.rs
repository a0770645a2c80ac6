//! Papers: what a verb writes beside its findings: the page for people, STIX, MISP, tables.
//! In: the options, each window's summary, at the end the findings. Out: files that appear whole or not at all; each is begun
//! before the work, so that a folder that cannot be written is said at once.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::options::Papers;
use super::output::{Output, OutputError};
use crate::detect::finding::Finding;
use crate::population::{Populations, Summary};
use crate::privacy::Reveal;
use crate::report::album::Album;
use crate::report::exchange::{Tlp, misp, stix};
use crate::report::html::{self, Paper};
use crate::report::records::findings::FindingTable;
use crate::report::records::windows::WindowTable;
use crate::report::{RunStats, exchange};

/// Files in the making.
pub struct Desk {
    tlp: Tlp,
    report: Option<(Output, Album)>,
    stix: Option<Output>,
    misp: Option<Output>,
    findings: Option<(PathBuf, FindingTable)>,
    windows: Option<(PathBuf, WindowTable)>,
}

impl Desk {
    /// Begins what the options ask for.
    pub fn open(papers: &Papers) -> anyhow::Result<Self> {
        let begun = |path: &Option<PathBuf>| path.as_deref().map(|path| Output::create(Some(path))).transpose();
        let at = |path: &Option<PathBuf>| path.clone();
        Ok(Self {
            tlp: papers.tlp.map_or(exchange::Tlp::default(), Tlp::from),
            report: begun(&papers.report)?.map(|output| (output, Album::default())),
            stix: begun(&papers.stix)?,
            misp: begun(&papers.misp)?,
            findings: table(at(&papers.findings_table), FindingTable::create)?,
            windows: table(at(&papers.windows_table), WindowTable::create)?,
        })
    }

    /// Whether anything is to be written.
    pub fn is_asked_for(&self) -> bool {
        self.wants_windows() || self.stix.is_some() || self.misp.is_some() || self.findings.is_some()
    }

    /// Whether windows are of any use to it.
    pub fn wants_windows(&self) -> bool {
        self.report.is_some() || self.windows.is_some()
    }

    /// Takes a window in.
    pub fn window(&mut self, summary: &Summary, populations: &Populations) -> anyhow::Result<()> {
        if let Some((_, album)) = &mut self.report {
            album.window(summary);
        }
        if let Some((path, table)) = &mut self.windows {
            table.window(summary, populations).map_err(OutputError::at(path))?;
        }
        Ok(())
    }

    /// Writes everything. `findings` are those that are to be shown; `title` says what they are about.
    pub fn write(
        self,
        title: &str,
        findings: &[Finding],
        stats: &RunStats,
        populations: &Populations,
        reveal: &Reveal,
    ) -> anyhow::Result<()> {
        if let Some((mut output, album)) = self.report {
            let pictures = album.close(findings, populations);
            let paper = Paper { title, findings, stats, pictures: &pictures, reveal, tlp: self.tlp };
            html::write(&mut output, &paper)?;
            output.finish()?;
        }
        type Document = fn(&mut dyn Write, &[Finding], Tlp) -> std::io::Result<()>;
        for (output, document) in [(self.stix, stix::write as Document), (self.misp, misp::write as Document)] {
            if let Some(mut output) = output {
                document(&mut output, findings, self.tlp)?;
                output.finish()?;
            }
        }
        if let Some((path, table)) = self.findings {
            table.write(findings, reveal).map_err(OutputError::at(&path))?;
        }
        if let Some((path, table)) = self.windows {
            table.finish().map_err(OutputError::at(&path))?;
        }
        Ok(())
    }
}

fn table<T>(
    path: Option<PathBuf>,
    create: impl FnOnce(&Path) -> std::io::Result<T>,
) -> Result<Option<(PathBuf, T)>, OutputError> {
    let Some(path) = path else { return Ok(None) };
    let table = create(&path).map_err(OutputError::at(&path))?;
    Ok(Some((path, table)))
}

/// What a report over these files is about: the one, or the first and how many more.
pub fn title_of(files: &[PathBuf]) -> String {
    let name = |path: &PathBuf| match path.to_str() {
        Some("-") => "standard input".to_owned(),
        _ => path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned(),
    };
    match files {
        [] => String::new(),
        [one] => name(one),
        [first, rest @ ..] => format!("{} and {} more", name(first), rest.len()),
    }
}

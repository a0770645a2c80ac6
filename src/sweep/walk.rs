//! The walk: which files lie below what was named.
//! In: files, folders, globs. Out: plain files, each once, and what could not be looked into.
//! Bounds: [`FILES_MAX`] files. Symbolic links below a folder are passed over unless asked for; a folder is entered once even
//! where links lead to it twice. Hidden files and folders are passed over: half-copied files have such names.

use std::collections::BTreeSet;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};

use super::{NotSwept, SweepError};

/// Most files of one sweep.
pub const FILES_MAX: usize = 4_000_000;

/// What symbolic links are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Links {
    /// Passed over.
    #[default]
    PassOver,
    /// Followed.
    Follow,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Walked {
    /// Files, sorted; `true` where the file itself was named.
    pub files: Vec<(PathBuf, bool)>,
    /// What could not be looked into.
    pub problems: Vec<NotSwept>,
}

/// Walks all inputs.
pub(super) fn walk(inputs: &[PathBuf], links: Links) -> Result<Walked, SweepError> {
    let mut walk =
        Walk { links, files: BTreeSet::new(), named: BTreeSet::new(), entered: BTreeSet::new(), problems: Vec::new() };
    for input in inputs {
        match std::fs::metadata(input) {
            Ok(metadata) if metadata.is_dir() => walk.folder(input, &metadata, None),
            Ok(_) => {
                walk.files.insert(input.clone());
                walk.named.insert(input.clone());
            }
            Err(error) => match glob_of(input) {
                Some(glob) => {
                    let (below, glob) = glob?;
                    match std::fs::metadata(&below) {
                        Ok(metadata) => walk.folder(&below, &metadata, Some(&glob)),
                        Err(error) => walk.problem(&below, &error.to_string()),
                    }
                }
                None => walk.problem(input, &error.to_string()),
            },
        }
    }
    if walk.files.len() > FILES_MAX {
        let (path, why) = ("the archive".to_owned(), format!("holds over {FILES_MAX} files; sweep it in parts"));
        return Err(SweepError::Input { path, why });
    }
    let Walk { files, named, problems, .. } = walk;
    Ok(Walked {
        files: files
            .into_iter()
            .map(|path| {
                let is_named = named.contains(&path);
                (path, is_named)
            })
            .collect(),
        problems,
    })
}

struct Walk {
    links: Links,
    files: BTreeSet<PathBuf>,
    named: BTreeSet<PathBuf>,
    /// Device and inode of every folder.
    entered: BTreeSet<(u64, u64)>,
    problems: Vec<NotSwept>,
}

impl Walk {
    /// Everything below a folder; with a glob, what it matches. An open list instead of recursion: depth is the archive's.
    fn folder(&mut self, folder: &Path, metadata: &Metadata, glob: Option<&GlobMatcher>) {
        let mut open = vec![(folder.to_owned(), (metadata.dev(), metadata.ino()))];
        let mut seen = BTreeSet::new();
        while let Some((folder, identity)) = open.pop() {
            // With a glob a folder may be walked again for another one; without, it never needs to be.
            let is_new = seen.insert(identity) && (glob.is_some() || self.entered.insert(identity));
            if !is_new || self.files.len() > FILES_MAX {
                continue;
            }
            let entries = match std::fs::read_dir(&folder) {
                Ok(entries) => entries,
                Err(error) => {
                    self.problem(&folder, &error.to_string());
                    continue;
                }
            };
            for entry in entries {
                let entry = match entry {
                    Ok(entry) => entry,
                    Err(error) => {
                        self.problem(&folder, &error.to_string());
                        break;
                    }
                };
                if entry.file_name().as_encoded_bytes().starts_with(b".") {
                    continue;
                }
                let path = entry.path();
                let Ok(kind) = entry.file_type() else { continue };
                let metadata = match (kind.is_symlink(), self.links) {
                    (true, Links::PassOver) => continue,
                    (true, Links::Follow) => std::fs::metadata(&path),
                    (false, _) => entry.metadata(),
                };
                match metadata {
                    Ok(metadata) if metadata.is_dir() => open.push((path, (metadata.dev(), metadata.ino()))),
                    Ok(metadata) if metadata.is_file() && glob.is_none_or(|glob| glob.is_match(&path)) => {
                        self.files.insert(path);
                    }
                    // Sockets, devices, pipes: nothing that ends.
                    Ok(_) => {}
                    Err(error) => self.problem(&path, &error.to_string()),
                }
            }
        }
    }

    fn problem(&mut self, path: &Path, why: &str) {
        self.problems.push(NotSwept { path: path.display().to_string(), why: why.to_owned() });
    }
}

/// The folder below which a glob can match, and the glob; none where the path is no glob.
fn glob_of(path: &Path) -> Option<Result<(PathBuf, GlobMatcher), SweepError>> {
    let text = path.to_str()?;
    let is_glob = |part: &str| part.contains(['*', '?', '[', '{']);
    if !is_glob(text) {
        return None;
    }
    let plain = path.components().take_while(|part| !is_glob(&part.as_os_str().to_string_lossy()));
    let below: PathBuf = plain.collect();
    let is_here = below.as_os_str().is_empty();
    // What is read below "." begins with "./": so must the glob.
    let text = match (is_here, path.components().next()) {
        (true, Some(Component::Normal(_))) => format!("./{text}"),
        _ => text.to_owned(),
    };
    let glob = GlobBuilder::new(&text).literal_separator(true).build();
    Some(match glob {
        Ok(glob) => Ok((if is_here { PathBuf::from(".") } else { below }, glob.compile_matcher())),
        Err(error) => Err(SweepError::Input { path: text, why: format!("is no glob: {}", error.kind()) }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_globs_links_and_loops() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let root = folder.path();
        for name in ["a/1.pcap", "a/b/2.pcap", "a/b/3.log", "c/4.pcap", "a/.hidden", ".part/5.pcap"] {
            let path = root.join(name);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            std::fs::write(path, b"x").expect("written");
        }
        std::os::unix::fs::symlink(root.join("a"), root.join("a/b/loop")).expect("linked");
        std::os::unix::fs::symlink(root.join("c"), root.join("link")).expect("linked");
        let table = [
            (vec![""], Links::PassOver, vec!["a/1.pcap", "a/b/2.pcap", "a/b/3.log", "c/4.pcap"]),
            (vec!["a", "a/b", "a/1.pcap"], Links::PassOver, vec!["a/1.pcap", "a/b/2.pcap", "a/b/3.log"]),
            (vec!["**/*.pcap"], Links::PassOver, vec!["a/1.pcap", "a/b/2.pcap", "c/4.pcap"]),
            (vec!["*/*.pcap"], Links::PassOver, vec!["a/1.pcap", "c/4.pcap"]),
            (vec!["a", "*/1.pcap"], Links::PassOver, vec!["a/1.pcap", "a/b/2.pcap", "a/b/3.log"]),
            (vec!["link"], Links::PassOver, vec!["link/4.pcap"]),
        ];
        for (inputs, links, wanted) in table {
            let paths: Vec<PathBuf> = inputs.iter().map(|input| root.join(input)).collect();
            let walked = walk(&paths, links).expect("walked");
            let mut found: Vec<String> = walked
                .files
                .iter()
                .map(|(path, _)| path.strip_prefix(root).expect("below").display().to_string())
                .collect();
            found.sort();
            assert_eq!(found, wanted, "{inputs:?}");
            assert_eq!(walked.problems, [], "{inputs:?}");
        }
        // Followed links are walked once, and loops end.
        let walked = walk(&[root.to_owned()], Links::Follow).expect("walked");
        assert_eq!(walked.files.len(), 4, "{:?}", walked.files);
        let walked = walk(&[root.join("nothing")], Links::PassOver).expect("walked");
        assert_eq!(walked.problems.len(), 1);
    }
}

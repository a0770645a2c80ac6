//! Habits of the house (STYLE in short), held by a test: order of rooms, contracts, sizes, names, words that must not stay.
//! In: the tree of this crate as text. Out: one line for each place that breaks a habit.
#![allow(clippy::print_stdout, reason = "a test's output is for people")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Longest file in lines; a longer one holds two things.
const FILE_LINES_MAX: usize = 600;
/// Lines of code, tests at the foot left out, from which on a file is named.
const CODE_LINES_WARNED: usize = 400;
/// Longest line in characters.
const LINE_CHARS_MAX: usize = 140;
/// Names that say nothing about what is inside.
const NAMES_REFUSED: &[&str] = &["utils", "util", "common", "helpers", "misc", "types"];
/// Rooms that talk to people.
const ROOMS_THAT_PRINT: &[&str] = &["cli", "report"];
/// Folders that are built, or not ours.
const FOLDERS_PASSED_OVER: &[&str] = &["target", ".git", "node_modules"];
/// Bytes of a file beyond which it is data, not text.
const TEXT_BYTES_MAX: u64 = 1 << 20;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files_under(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() && !FOLDERS_PASSED_OVER.iter().any(|passed| name == *passed) {
            files_under(&path, files);
        } else if kind.is_file() {
            files.push(path);
        }
    }
    files.sort();
}

/// A file of the tree, its path relative to the root.
struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    /// The text without the tests at its foot.
    fn code(&self) -> &str {
        if self.path.ends_with("tests.rs") || self.path.components().any(|part| part.as_os_str() == "tests") {
            return "";
        }
        let foot = self.text.find("\n#[cfg(test)]\nmod ").unwrap_or(self.text.len());
        &self.text[..foot]
    }

    /// Lines of code with their numbers from 1; comments left out.
    fn code_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let numbered = self.code().lines().enumerate().map(|(i, line)| (i + 1, line));
        numbered.filter(|(_, line)| !line.trim_start().starts_with("//"))
    }

    /// The room that a file of `src` belongs to.
    fn room(&self) -> Option<String> {
        let inside = self.path.strip_prefix("src").ok()?;
        let first = inside.components().next()?.as_os_str().to_string_lossy();
        Some(first.trim_end_matches(".rs").to_owned())
    }
}

fn sources(folders: &[&str]) -> Vec<Source> {
    let mut files = Vec::new();
    for folder in folders {
        files_under(&root().join(folder), &mut files);
    }
    let rust = files.into_iter().filter(|path| path.extension().is_some_and(|end| end == "rs"));
    rust.map(|path| {
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Source { path: path.strip_prefix(root()).expect("inside the root").to_owned(), text }
    })
    .collect()
}

fn rooms_in_order() -> Vec<String> {
    let map = std::fs::read_to_string(root().join("src/lib.rs")).expect("the map of the house");
    let modules = map.lines().filter_map(|line| line.trim().strip_prefix("pub mod ")?.strip_suffix(';'));
    modules.map(str::to_owned).collect()
}

#[track_caller]
fn nothing(broken: &[String]) {
    assert!(broken.is_empty(), "{} places:\n{}", broken.len(), broken.join("\n"));
}

/// The rooms named right behind `crate::` in a text, grouped ones too.
fn rooms_used(code: &str) -> BTreeSet<&str> {
    fn word(text: &str) -> &str {
        let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
        &text[..end]
    }
    let mut used = BTreeSet::new();
    for (at, found) in code.match_indices("crate::") {
        // Not `$crate::`, not `trawlwatch_crate::`.
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let rest = &code[at + found.len()..];
        let Some(group) = rest.strip_prefix('{') else {
            used.insert(word(rest));
            continue;
        };
        let mut depth = 1;
        let mut is_start = true;
        for (i, letter) in group.char_indices() {
            match letter {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 1 => is_start = true,
                letter if is_start && depth == 1 && letter.is_alphabetic() => {
                    used.insert(word(&group[i..]));
                    is_start = false;
                }
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
    }
    used
}

#[test]
fn a_room_uses_only_rooms_above_it() {
    let rooms = rooms_in_order();
    assert!(rooms.len() > 3, "src/lib.rs lists its rooms as `pub mod NAME;`");
    let place = |name: &str| rooms.iter().position(|room| room == name);
    let mut broken = Vec::new();
    for source in sources(&["src"]) {
        let Some(room) = source.room().filter(|room| room != "lib" && room != "main") else { continue };
        let Some(mine) = place(&room) else {
            broken.push(format!("{}: room {room} is not in src/lib.rs", source.path.display()));
            continue;
        };
        let code: String = source.code_lines().flat_map(|(_, line)| [line, "\n"]).collect();
        for used in rooms_used(&code) {
            if place(used).is_some_and(|theirs| theirs > mine) {
                broken.push(format!("{}: uses {used}, which comes after {room}", source.path.display()));
            }
        }
    }
    nothing(&broken);
}

#[test]
fn uses_are_found_however_they_are_written() {
    let table: [(&str, &[&str]); 4] = [
        ("use crate::flow::row::FlowColumns;", &["flow"]),
        ("use crate::{\n    flow::{row, table},\n    units::Side,\n};", &["flow", "units"]),
        ("let x = crate::packet::parse(crate::units::Side::Orig);", &["packet", "units"]),
        ("use other_crate::flow;", &[]),
    ];
    for (code, wanted) in table {
        assert_eq!(rooms_used(code).into_iter().collect::<Vec<_>>(), wanted, "{code}");
    }
}

#[test]
fn every_file_opens_with_its_contract() {
    let all = sources(&["src", "tests", "benches"]);
    let without = all.iter().filter(|source| !source.text.starts_with("//! "));
    nothing(
        &without.map(|source| format!("{}: does not begin with `//! `", source.path.display())).collect::<Vec<_>>(),
    );
}

#[test]
fn no_file_and_no_line_is_too_long() {
    let mut broken = Vec::new();
    for source in sources(&["src", "tests", "benches"]) {
        let path = source.path.display();
        let lines = source.text.lines().count();
        if lines > FILE_LINES_MAX {
            broken.push(format!("{path}: {lines} lines, at most {FILE_LINES_MAX}: split it by meaning"));
        }
        let code = source.code_lines().filter(|(_, line)| !line.trim().is_empty()).count();
        if code > CODE_LINES_WARNED {
            println!("warning: {path}: {code} lines of code, over {CODE_LINES_WARNED}");
        }
        for (i, line) in source.text.lines().enumerate().filter(|(_, line)| line.chars().count() > LINE_CHARS_MAX) {
            let chars = line.chars().count();
            broken.push(format!("{path}:{}: {chars} characters, at most {LINE_CHARS_MAX}", i + 1));
        }
    }
    nothing(&broken);
}

#[test]
fn names_say_what_is_inside() {
    let mut broken = Vec::new();
    for source in sources(&["src", "tests", "benches"]) {
        let parts = source.path.components().map(|part| part.as_os_str().to_string_lossy().into_owned());
        for part in parts.filter(|part| NAMES_REFUSED.contains(&part.trim_end_matches(".rs"))) {
            broken.push(format!("{}: {part} is no name: it is a thing with a name of its own", source.path.display()));
        }
    }
    nothing(&broken);
}

#[test]
fn nothing_is_left_to_do_and_only_some_rooms_print() {
    // Put together here so that this file does not find itself.
    let unfinished = ["todo", "unimplemented"].map(|name| format!("{name}!("));
    let printing = ["println", "eprintln", "print", "eprint", "dbg"].map(|name| format!("{name}!("));
    let mut broken = Vec::new();
    for source in sources(&["src", "tests", "benches"]) {
        for (number, line) in source.text.lines().enumerate().map(|(i, line)| (i + 1, line)) {
            for word in unfinished.iter().filter(|word| line.contains(*word)) {
                broken.push(format!("{}:{number}: {word}…)", source.path.display()));
            }
        }
        if source.room().is_none_or(|room| ROOMS_THAT_PRINT.contains(&room.as_str())) {
            continue;
        }
        for (number, line) in source.code_lines() {
            if let Some(word) = printing.iter().find(|word| line.contains(*word)) {
                broken.push(format!(
                    "{}:{number}: {word}…): results go through report, talk through cli",
                    source.path.display()
                ));
            }
        }
    }
    nothing(&broken);
}

#[test]
fn every_make_command_of_the_readme_exists() {
    let Ok(readme) = std::fs::read_to_string(root().join("README.md")) else {
        println!("not run: there is no README.md");
        return;
    };
    let makefile = std::fs::read_to_string(root().join("Makefile")).expect("a Makefile");
    let is_target =
        |name: &str| makefile.lines().any(|line| line.strip_prefix(name).is_some_and(|l| l.starts_with(':')));
    let mut named = BTreeSet::new();
    for (at, found) in readme.match_indices("make ") {
        // Only commands: at the start of a line, behind a prompt or a backtick.
        if readme[..at].is_empty() || readme[..at].ends_with(['\n', '`']) || readme[..at].ends_with("$ ") {
            let rest = &readme[at + found.len()..];
            let end = rest.find(|c: char| !c.is_ascii_lowercase() && c != '-').unwrap_or(rest.len());
            named.insert(&rest[..end]);
        }
    }
    let missing = named.into_iter().filter(|name| !name.is_empty() && !is_target(name));
    nothing(
        &missing.map(|name| format!("README.md: `make {name}`, which the Makefile does not know")).collect::<Vec<_>>(),
    );
}

#[test]
fn no_path_of_a_builders_machine_is_in_the_tree() {
    // Put together here so that this file does not find itself.
    let places = [["/wo", "rk/"].concat(), ["/ho", "me/"].concat(), ["/Us", "ers/"].concat()];
    let mut files = Vec::new();
    files_under(root(), &mut files);
    let mut broken = Vec::new();
    for path in files {
        let is_text = path.metadata().is_ok_and(|metadata| metadata.len() <= TEXT_BYTES_MAX);
        // In a worktree `.git` is a file, and says where the repository is.
        if !is_text || path.file_name().is_some_and(|name| name == ".git") {
            continue;
        }
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        for (number, line) in text.lines().enumerate() {
            for (place, at) in places.iter().filter_map(|place| Some((place, line.find(place.as_str())?))) {
                let is_inside_longer_path = line[..at].ends_with(|c: char| c.is_alphanumeric() || "./-_~".contains(c));
                if !is_inside_longer_path {
                    broken.push(format!("{}:{}: {place}…", path.display(), number + 1));
                }
            }
        }
    }
    nothing(&broken);
}

#[test]
fn what_the_readme_promises_to_run_is_executable() {
    use std::os::unix::fs::PermissionsExt;
    for script in [".ci/run", ".ci/prepare"] {
        let mode = std::fs::metadata(root().join(script)).expect(script).permissions().mode();
        assert!(mode & 0o111 != 0, "{script} is not executable");
    }
}

//! The queue: what is new in the archive, in order of time.
//! In: the walk, the store's memory. Out: captures to read, each with the frame from which on; known, refused and growing ones
//! are noted. Bounds: a few numbers and a path a capture.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::content::{HEAD_BYTES, head_of, mark_of};
use super::walk::walk;
use super::{NotSwept, Plan, SweepError, Swept};
use crate::capture::{Captures, InputPath, OpenError};
use crate::store::Store;
use crate::store::captures::{Content, Known, Left, Reading};
use crate::units::{DurationNs, TimestampNs};

/// Between two looks at a file that grows.
const LOOK_EVERY: std::time::Duration = std::time::Duration::from_millis(500);

/// A capture to be read.
#[derive(Debug)]
pub(super) struct Candidate {
    /// Where it is.
    pub path: PathBuf,
    /// Number of its sensor.
    pub sensor: i64,
    /// What it is.
    pub content: Content,
    /// Its first packet's time.
    pub first: TimestampNs,
    /// Frames that were read before.
    pub frames_from: u64,
}

/// What a file turned out to be.
enum Look {
    New(Box<Candidate>),
    Known,
    Growing(TimestampNs),
    Done,
}

/// Looks at every file; those that grow are looked at again until the plan's patience ends.
pub(super) fn fill(
    store: &mut Store,
    plan: &Plan,
    clock: fn() -> TimestampNs,
    run: i64,
    swept: &mut Swept,
) -> Result<Vec<Candidate>, SweepError> {
    let walked = walk(&plan.inputs, plan.links)?;
    swept.refused.extend(walked.problems);
    let mut queue = Vec::new();
    let mut growing = Vec::new();
    for (path, is_named) in walked.files {
        match look(store, plan, clock(), run, &path, is_named, swept)? {
            Look::New(candidate) => queue.push(*candidate),
            Look::Known => swept.known += 1,
            Look::Growing(changed) => growing.push((path, is_named, changed)),
            Look::Done => {}
        }
    }
    let patience_ends = clock().after(plan.wait);
    while !growing.is_empty() && clock() < patience_ends {
        std::thread::sleep(LOOK_EVERY);
        for (path, is_named, _) in std::mem::take(&mut growing) {
            match look(store, plan, clock(), run, &path, is_named, swept)? {
                Look::New(candidate) => queue.push(*candidate),
                Look::Known => swept.known += 1,
                Look::Growing(changed) => growing.push((path, is_named, changed)),
                Look::Done => {}
            }
        }
    }
    swept.growing.extend(growing.into_iter().map(|(path, _, changed)| NotSwept {
        path: path.display().to_string(),
        why: format!("still grows: changed {:.0} s ago", clock().since(changed).as_secs_f64()),
    }));
    // Of equal captures in two places one is read; which does not depend on the order of the walk.
    queue.sort_by(|a, b| (a.first, a.content.mark, &a.path).cmp(&(b.first, b.content.mark, &b.path)));
    let before = queue.len();
    queue.dedup_by(|again, kept| again.content == kept.content);
    swept.known += (before - queue.len()) as u64;
    Ok(queue)
}

/// Looks at one file.
fn look(
    store: &mut Store,
    plan: &Plan,
    now: TimestampNs,
    run: i64,
    path: &Path,
    is_named: bool,
    swept: &mut Swept,
) -> Result<Look, SweepError> {
    let shown = path.display().to_string();
    let opened = File::open(path).and_then(|file| file.metadata().map(|metadata| (file, metadata)));
    let (file, metadata) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            swept.refused.push(NotSwept { path: shown, why: error.to_string() });
            return Ok(Look::Done);
        }
    };
    if !metadata.is_file() {
        let why = "is no plain file; `trawlwatch replay` reads streams".to_owned();
        swept.refused.push(NotSwept { path: shown, why });
        return Ok(Look::Done);
    }
    let changed = metadata.modified().ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
    let changed = changed.map_or(TimestampNs::ZERO, |since| TimestampNs(since.as_nanos() as u64));
    // A time of change that lies ahead is a clock's error, not a file that grows.
    if plan.settle > DurationNs::ZERO && changed <= now && now.since(changed) < plan.settle {
        return Ok(Look::Growing(changed));
    }
    if plan.since.is_some_and(|since| changed < since) {
        swept.outside += 1;
        return Ok(Look::Done);
    }
    let size = metadata.len();
    let content = head_of(&file, size).and_then(|head| Ok(Content { size, head, mark: mark_of(&file, size)? }));
    let content = match content {
        Ok(content) => content,
        Err(error) => {
            swept.refused.push(NotSwept { path: shown, why: error.to_string() });
            return Ok(Look::Done);
        }
    };
    let known = known(store, &file, &content)?;
    if let Some(known) = known.as_ref().filter(|known| known.size == size) {
        return Ok(match known.left {
            Left::Done => Look::Known,
            Left::Refused => {
                swept.refused_before += 1;
                Look::Done
            }
        });
    }
    let first = Captures::open(&[InputPath::File(path.to_owned())])
        .map(|mut captures| captures.next_frame().map(|frame| frame.ts));
    let first = match first {
        Ok(first) => first,
        Err(OpenError::NotACapture { .. }) if !is_named => {
            swept.strangers += 1;
            return Ok(Look::Done);
        }
        Err(error) => {
            let words = error.to_string();
            let why = words.strip_prefix(&format!("{shown}: ")).unwrap_or(&words).to_owned();
            let sensor = store.sensor(&plan.naming.of(path))?;
            store.refuse_capture(&Reading { run, sensor, path: &shown, content, frames_from: 0 }, &why)?;
            swept.refused.push(NotSwept { path: shown, why });
            return Ok(Look::Done);
        }
    };
    let begins = first.unwrap_or(TimestampNs::ZERO);
    let is_outside = first.is_some()
        && (plan.since.is_some_and(|since| begins < since) || plan.until.is_some_and(|until| begins >= until));
    if is_outside {
        swept.outside += 1;
        return Ok(Look::Done);
    }
    // What was read of it under one sensor goes on under that one, however it is called by now.
    let (sensor, frames_from) = match &known {
        Some(Known { left: Left::Done, frames, sensor, .. }) => (*sensor, *frames),
        _ => (store.sensor(&plan.naming.of(path))?, 0),
    };
    Ok(Look::New(Box::new(Candidate { path: path.to_owned(), sensor, content, first: begins, frames_from })))
}

/// The longest known capture that this file is, or begins with.
fn known(store: &Store, file: &File, content: &Content) -> Result<Option<Known>, SweepError> {
    let mut heads = vec![content.head];
    // Short captures have a head that is all of them, and after they grew another one.
    for length in store.short_lengths(HEAD_BYTES.min(content.size))? {
        if let Ok(head) = head_of(file, length) {
            heads.push(head);
        }
    }
    for head in heads {
        for known in store.captures_of_head(&head)? {
            let is_it = known.size <= content.size && known.size > 0;
            if is_it && mark_of(file, known.size).is_ok_and(|mark| mark == known.mark) {
                return Ok(Some(known));
            }
        }
    }
    // An empty file is known by being empty, and is the beginning of nothing.
    let empty = if content.size == 0 { store.captures_of_head(&content.head)?.into_iter().next() } else { None };
    Ok(empty)
}

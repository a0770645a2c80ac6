//! Voice: what a live run says on standard error, from a thread of its own: a reader that stops reading stops no capture.
//! In: sentences. Out: lines on standard error. Bounds: [`SENTENCES_MAX`] wait; what finds no place is not said.

use std::time::Duration;

use crossbeam::channel::{Receiver, Sender, bounded};

use super::super::talk::Talk;

/// Sentences that wait to be said.
const SENTENCES_MAX: usize = 256;
/// How long the end waits for the last of them.
const END: Duration = Duration::from_millis(300);

enum Sentence {
    Note(String),
    Warning(String),
}

/// Speaks, and never waits.
pub struct Voice {
    say: Sender<Sentence>,
    done: Receiver<()>,
}

impl Voice {
    /// As loud as `talk`.
    pub fn start(talk: &Talk) -> std::io::Result<Self> {
        let talk = talk.twin();
        let (say, sentences) = bounded(SENTENCES_MAX);
        let (done_to, done) = bounded(1);
        std::thread::Builder::new().name("voice".into()).spawn(move || {
            for sentence in sentences {
                match sentence {
                    Sentence::Note(text) => talk.note(&text),
                    Sentence::Warning(text) => talk.warn(&text),
                }
            }
            let _nobody = done_to.send(());
        })?;
        Ok(Self { say, done })
    }

    /// Something worth knowing.
    pub fn note(&self, text: &str) {
        let _full = self.say.try_send(Sentence::Note(text.to_owned()));
    }

    /// Something to mend.
    pub fn warn(&self, text: &str) {
        let _full = self.say.try_send(Sentence::Warning(text.to_owned()));
    }

    /// Says what is left to say, if somebody still reads.
    pub fn end(self) {
        drop(self.say);
        let _nobody_reads = self.done.recv_timeout(END);
    }
}

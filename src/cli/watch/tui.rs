//! Terminal view: how well the run sees, who takes most, what was found; one finding opened with its evidence.
//! In: the board, keys. Out: a screen of at least 80 × 24, drawn twice a second; a wish to end.
//! Bounds: one screen. The terminal is left as it was at every end that a process sees: a wish, a signal, a panic, and a
//! terminal that has gone, which ends the run.
#![expect(unsafe_code, reason = "poll(2) on the terminal: it alone tells that the terminal has gone without spinning")]

use std::io::{self, Read, Write};
use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, Sender};
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::{cursor, execute, terminal};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Paragraph, Wrap};
use ratatui::{Frame, Terminal};

use super::board::{Board, Collector, View};
use crate::detect::finding::{Finding, Severity};
use crate::pipeline::live::Lost;
use crate::privacy::Reveal;
use crate::report::escape::words;
use crate::report::{Layout as PageLayout, Palette, figures, text};

/// Time between two screens without a key.
const DRAW_EVERY: Duration = Duration::from_millis(500);
/// Lanes with a line of their own: more leave no room for findings on 24 lines.
const LANES_SHOWN: usize = 4;

/// The view's thread.
pub struct Tui {
    ask_end: Arc<AtomicBool>,
    done: Receiver<()>,
}

impl Tui {
    /// Takes the screen. When it is left, or has gone, `stop` is set.
    pub fn start(board: Arc<Board>, reveal: Reveal, stop: Arc<AtomicBool>) -> io::Result<Self> {
        let ask_end = Arc::new(AtomicBool::new(false));
        let (done_to, done) = crossbeam::channel::bounded(1);
        clean_on_panic();
        take_screen()?;
        let asked = Arc::clone(&ask_end);
        std::thread::Builder::new().name("view".into()).spawn(move || {
            let _last = Last { stop, done_to };
            let _ended = Screen { board, reveal, asked, shown: Shown::default() }.run();
            restore();
        })?;
        Ok(Self { ask_end, done })
    }

    /// Gives the screen back.
    pub fn end(self) {
        self.ask_end.store(true, Relaxed);
        // A terminal that takes nothing any more is not waited for.
        let _ended = self.done.recv_timeout(Duration::from_secs(1));
    }
}

/// However the view ends, by a panic too, the run ends with it: nobody watches any more.
struct Last {
    stop: Arc<AtomicBool>,
    done_to: Sender<()>,
}

impl Drop for Last {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        let _nobody = self.done_to.send(());
    }
}

fn take_screen() -> io::Result<()> {
    terminal::enable_raw_mode()?;
    execute!(io::stdout(), terminal::EnterAlternateScreen, cursor::Hide)
}

/// Leaves the terminal as it was; harmless when done twice.
fn restore() {
    let _ = execute!(io::stdout(), terminal::LeaveAlternateScreen, cursor::Show);
    let _ = terminal::disable_raw_mode();
    let _ = io::stdout().flush();
}

/// A panic anywhere gives the screen back before its message is written.
fn clean_on_panic() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        restore();
        before(panic);
    }));
}

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Up,
    Down,
    Open,
    Back,
    Quit,
    Other,
}

/// What is on the screen.
#[derive(Debug, Default)]
struct Shown {
    chosen: usize,
    opened: Option<usize>,
    rates: Option<(Instant, Vec<Lost>)>,
    now: Vec<(f64, f64)>,
}

struct Screen {
    board: Arc<Board>,
    reveal: Reveal,
    asked: Arc<AtomicBool>,
    shown: Shown,
}

impl Screen {
    fn run(mut self) -> io::Result<()> {
        // Never dropped: its drop panics where the terminal, and standard error with it, has gone. `restore` does its work.
        let mut terminal = ManuallyDrop::new(Terminal::new(CrosstermBackend::new(io::stdout()))?);
        while !self.asked.load(Relaxed) {
            self.shown.measure(&self.board);
            let (board, shown, reveal) = (&self.board, &mut self.shown, &self.reveal);
            // A copy: a terminal that takes nothing must not hold the board, on which the analysis writes.
            let view = board.view().clone();
            shown.chosen = shown.chosen.min(view.findings.len().saturating_sub(1));
            let drawing = Drawing { board, view: &view, shown, reveal };
            terminal.draw(|frame| drawing.draw(frame))?;
            for key in keys(DRAW_EVERY)? {
                if self.shown.press(key) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

/// Keys pressed within `wait`; an error when the terminal has gone.
fn keys(wait: Duration) -> io::Result<Vec<Key>> {
    let mut place = libc::pollfd { fd: libc::STDIN_FILENO, events: libc::POLLIN, revents: 0 };
    let wait_ms = libc::c_int::try_from(wait.as_millis()).unwrap_or(libc::c_int::MAX);
    // SAFETY: one pollfd is given; standard input stays open for the life of the process.
    let woken = unsafe { libc::poll(&mut place, 1, wait_ms) };
    if woken < 0 {
        let error = io::Error::last_os_error();
        // A resize interrupts the wait, and is seen by the next screen.
        return if error.kind() == io::ErrorKind::Interrupted { Ok(Vec::new()) } else { Err(error) };
    }
    let gone = || io::Error::new(io::ErrorKind::NotConnected, "the terminal has gone");
    if place.revents & (libc::POLLHUP | libc::POLLERR | libc::POLLNVAL) != 0 {
        return Err(gone());
    }
    if place.revents & libc::POLLIN == 0 {
        return Ok(Vec::new());
    }
    let mut bytes = [0; 64];
    match io::stdin().lock().read(&mut bytes)? {
        0 => Err(gone()),
        n => Ok(decode(&bytes[..n])),
    }
}

/// The few keys that mean something; sequences of others are passed over whole.
fn decode(mut bytes: &[u8]) -> Vec<Key> {
    let mut keys = Vec::new();
    while let Some((first, rest)) = bytes.split_first() {
        let (key, used) = match (*first, rest) {
            (0x1b, [b'[' | b'O', b'A', ..]) => (Key::Up, 3),
            (0x1b, [b'[' | b'O', b'B', ..]) => (Key::Down, 3),
            (0x1b, [b'[' | b'O', after @ ..]) => {
                let end = after.iter().position(|byte| byte.is_ascii_alphabetic() || *byte == b'~');
                (Key::Other, end.map_or(bytes.len(), |end| end + 3))
            }
            (0x1b, _) => (Key::Back, 1),
            (b'k', _) => (Key::Up, 1),
            (b'j', _) => (Key::Down, 1),
            (b'\r' | b'\n' | b' ', _) => (Key::Open, 1),
            (0x7f | 0x08 | b'b', _) => (Key::Back, 1),
            (b'q' | 0x03 | 0x04, _) => (Key::Quit, 1),
            _ => (Key::Other, 1),
        };
        keys.push(key);
        bytes = &bytes[used..];
    }
    keys
}

impl Shown {
    /// Whether the key ends the view.
    fn press(&mut self, key: Key) -> bool {
        match (key, &mut self.opened) {
            (Key::Quit, None) => return true,
            (Key::Quit | Key::Back, opened) => *opened = None,
            (Key::Up, Some(line)) => *line = line.saturating_sub(1),
            (Key::Down, Some(line)) => *line += 1,
            (Key::Up, None) => self.chosen = self.chosen.saturating_sub(1),
            (Key::Down, None) => self.chosen += 1,
            (Key::Open, opened) => *opened = Some(0),
            (Key::Other, _) => {}
        }
        false
    }

    /// Packets and bits a second of each lane since the last screen.
    fn measure(&mut self, board: &Board) {
        let lanes: Vec<Lost> = board.gauges.lanes.iter().map(|lane| lane.lost()).collect();
        if let Some((at, before)) = &self.rates {
            let seconds = at.elapsed().as_secs_f64().max(1e-3);
            let rate = |(now, before): (&Lost, &Lost)| {
                let new = now.since(before);
                (new.frames as f64 / seconds, new.wire_bytes as f64 * 8.0 / seconds)
            };
            self.now = lanes.iter().zip(before).map(rate).collect();
        }
        self.rates = Some((Instant::now(), lanes));
    }
}

struct Drawing<'a> {
    board: &'a Board,
    view: &'a View,
    shown: &'a Shown,
    reveal: &'a Reveal,
}

impl Drawing<'_> {
    fn draw(&self, frame: &mut Frame<'_>) {
        let finding = self.shown.opened.and_then(|line| Some((self.view.findings.get(self.shown.chosen)?, line)));
        if let Some((finding, line)) = finding {
            return self.finding(frame, finding, line);
        }
        let all = self.board.gauges.lanes.len();
        let lanes = all.min(LANES_SHOWN) as u16;
        let capture_title =
            if all > LANES_SHOWN { format!("capture, {LANES_SHOWN} of {all}") } else { "capture".to_owned() };
        let [head, capture, collectors, findings, foot] = Layout::vertical([
            Constraint::Length(1),
            Constraint::Length(lanes + 3),
            Constraint::Length(8),
            Constraint::Min(4),
            Constraint::Length(1),
        ])
        .areas(frame.area());
        frame.render_widget(Paragraph::new(self.head()), head);
        frame.render_widget(boxed(&capture_title, self.capture(usize::from(lanes))), capture);
        frame.render_widget(
            boxed("collectors: risk, subscribers, bytes taken in all and by window", self.collectors(collectors)),
            collectors,
        );
        frame.render_widget(boxed("findings", self.findings(findings)), findings);
        frame.render_widget(Paragraph::new(self.foot()), foot);
    }

    fn head(&self) -> Line<'static> {
        let up = crate::units::DurationNs(self.board.began.elapsed().as_nanos() as u64);
        let confidence = if self.view.windows > 0 { figures::percent(self.view.confidence_last) } else { "–".into() };
        Line::styled(
            format!(
                "trawlwatch {}  up {}  windows {}  seen {confidence}  open {}",
                env!("CARGO_PKG_VERSION"),
                figures::length(up),
                self.view.windows,
                self.view.open_and_folded.0
            ),
            Style::new().add_modifier(Modifier::BOLD),
        )
    }

    fn capture(&self, lanes: usize) -> Vec<Line<'static>> {
        let mut lines = Vec::new();
        for (i, lane) in self.board.gauges.lanes.iter().enumerate().take(lanes) {
            let (packets, bits) = self.shown.now.get(i).copied().unwrap_or_default();
            let lost = lane.lost();
            let state = if lane.is_up.load(Relaxed) { "up" } else { "GONE" };
            let style = if lost.total() > 0 || state == "GONE" { Style::new().fg(Color::Red) } else { Style::new() };
            lines.push(Line::styled(
                format!(
                    "{:<10} {state:<4} {packets:>8.0}/s {:>8.1} Mbit/s lost ring {} card {} queue {}",
                    clipped(&lane.interface, 10),
                    bits / 1e6,
                    short(lost.ring_full),
                    short(lost.interface),
                    short(lost.queue_full)
                ),
                style,
            ));
        }
        let most = crate::pipeline::live::QUEUE_BATCHES as u64;
        let queues: Vec<String> = (self.board.gauges.workers.iter())
            .map(|worker| bar(worker.queued.load(Relaxed), most).to_string())
            .collect();
        lines.push(Line::raw(format!(
            "workers {} queues [{}]  flows {}",
            queues.len(),
            queues.concat(),
            figures::count(self.view.counted.flows_open)
        )));
        lines
    }

    fn collectors(&self, area: Rect) -> Vec<Line<'static>> {
        let rows = usize::from(area.height.saturating_sub(2));
        let line = |collector: &Collector| {
            let most = collector.trend.iter().copied().max().unwrap_or(0);
            let trend: String = collector.trend.iter().map(|bytes| bar(*bytes, most)).collect();
            let style = if collector.risk > 0.0 { Style::new().fg(Color::Yellow) } else { Style::new() };
            Line::styled(
                format!(
                    "{:<22} {:>4.2} {:>6} subs {:>9}  {trend}",
                    clipped(&collector.address.to_string(), 22),
                    collector.risk,
                    collector.subscribers,
                    figures::bytes(collector.taken())
                ),
                style,
            )
        };
        self.view.collectors.iter().take(rows).map(line).collect()
    }

    fn findings(&self, area: Rect) -> Vec<Line<'static>> {
        let rows = usize::from(area.height.saturating_sub(2)).max(1);
        if self.view.findings.is_empty() {
            return vec![Line::raw("none so far")];
        }
        let from = self.shown.chosen.saturating_sub(rows - 1);
        let each = self.view.findings.iter().enumerate().skip(from).take(rows);
        each.map(|(i, finding)| {
            let mut style = Style::new().fg(colour(finding.severity));
            if i == self.shown.chosen {
                style = style.add_modifier(Modifier::REVERSED);
            }
            let line =
                format!("{:<8} {:<20} {}", finding.severity.name(), finding.technique.id(), words(&finding.headline));
            Line::styled(clipped(&line, usize::from(area.width.saturating_sub(2))), style)
        })
        .collect()
    }

    fn foot(&self) -> Line<'static> {
        let keys = Span::styled("↑↓ choose  Enter open  q end  ", Style::new().fg(Color::Cyan));
        let note = self.view.notes.back().map(|note| words(note).into_owned()).unwrap_or_default();
        Line::from(vec![keys, Span::raw(note)])
    }

    /// One finding as the text report has it.
    fn finding(&self, frame: &mut Frame<'_>, finding: &Finding, line: usize) {
        let area = frame.area();
        let columns = usize::from(area.width.saturating_sub(2));
        let mut page = Vec::new();
        let layout = PageLayout { reveal: self.reveal, columns, palette: Palette::Plain };
        // Writing to memory cannot fail.
        let _ = text::write_finding(&mut page, finding, layout);
        let page = String::from_utf8_lossy(&page).into_owned();
        let lines = page.lines().count();
        let line = u16::try_from(line.min(lines.saturating_sub(1))).unwrap_or(u16::MAX);
        let block = Block::new().borders(Borders::ALL).title(" finding: ↑↓ scroll, Esc back ");
        frame.render_widget(Paragraph::new(page).block(block).wrap(Wrap { trim: false }).scroll((line, 0)), area);
    }
}

fn boxed(title: &str, lines: Vec<Line<'static>>) -> Paragraph<'static> {
    Paragraph::new(lines).block(Block::new().borders(Borders::ALL).title(format!(" {title} ")))
}

fn colour(severity: Severity) -> Color {
    match severity {
        Severity::Critical | Severity::High => Color::Red,
        Severity::Medium => Color::Yellow,
        Severity::Low | Severity::Info => Color::Reset,
    }
}

/// A bar of one cell, an eighth at a time.
fn bar(value: u64, most: u64) -> char {
    const BARS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    match (value, most) {
        (0, _) | (_, 0) => BARS[0],
        _ => BARS[(u128::from(value) * 8).div_ceil(u128::from(most)).min(8) as usize],
    }
}

/// A count in at most four characters, so that a line of three fits a narrow screen: rounded down, never to nothing.
fn short(n: u64) -> String {
    match n {
        0..1_000 => n.to_string(),
        1_000..1_000_000 => format!("{}k", n / 1_000),
        1_000_000..1_000_000_000 => format!("{}M", n / 1_000_000),
        _ => format!("{}G", (n / 1_000_000_000).min(999)),
    }
}

fn clipped(text: &str, columns: usize) -> String {
    match text.chars().count() > columns {
        false => text.to_owned(),
        true => text.chars().take(columns.saturating_sub(1)).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use ratatui::backend::TestBackend;

    use super::*;
    use crate::pipeline::live::Gauges;

    /// Run by the test below on a terminal of its own.
    #[test]
    #[ignore = "takes the screen and panics"]
    fn a_panic_on_the_screen() {
        clean_on_panic();
        take_screen().expect("a terminal");
        panic!("a panic while the screen is taken");
    }

    #[test]
    fn a_panic_leaves_the_terminal_clean() {
        let program = std::env::current_exe().expect("this test");
        let command = format!(
            "{} --exact cli::watch::tui::tests::a_panic_on_the_screen --ignored --nocapture; stty -a",
            program.display()
        );
        let ran = std::process::Command::new("script").args(["-qec", &command, "/dev/null"]).output();
        let Ok(ran) = ran else {
            println!("not run: there is no `script` to make a terminal");
            return;
        };
        let shown = String::from_utf8_lossy(&ran.stdout);
        let place = |what: &str| shown.find(what).unwrap_or_else(|| panic!("{what:?} is missing in {shown}"));
        let (enters, leaves) = (place("\u{1b}[?1049h"), place("\u{1b}[?1049l"));
        assert!(enters < leaves && leaves < place("a panic while the screen is taken"), "{shown}");
        // Raw mode is off again.
        assert!(place(" icanon") > leaves && place(" echo ") > leaves, "{shown}");
    }

    #[test]
    fn keys_are_told_apart() {
        for (bytes, wanted) in [
            (&b"\x1b[A\x1b[B"[..], &[Key::Up, Key::Down][..]),
            (b"jk\r", &[Key::Down, Key::Up, Key::Open]),
            (b"\x1b", &[Key::Back]),
            (b"\x1b[15~q", &[Key::Other, Key::Quit]),
            (b"\x03", &[Key::Quit]),
            (b"\xc3\xa9", &[Key::Other, Key::Other]),
        ] {
            assert_eq!(decode(bytes), wanted, "{bytes:?}");
        }
    }

    #[test]
    fn a_screen_of_80_by_24_shows_all_of_it_and_smaller_ones_do_not_panic() {
        let lanes = (0..6).map(|n| format!("mirror-port-{n}"));
        let board = Board::new(Arc::new(Gauges::new(lanes, 2)), Vec::new());
        board.gauges.lanes[0].ring_full.store(7, Relaxed);
        // The widest line that there can be.
        let wide = &board.gauges.lanes[1];
        [&wide.ring_full, &wide.interface_lost, &wide.queue_full]
            .iter()
            .for_each(|lost| lost.store(999_999_999_999, Relaxed));
        let mut view = View::default();
        view.collectors.push(Collector {
            address: crate::units::Address::v4([203, 0, 113, 7]),
            risk: 0.98,
            subscribers: 312,
            trend: [1, 4, 8].into(),
        });
        let shown = Shown { now: vec![(0.0, 0.0), (99_999_999.0, 1e11)], ..Shown::default() };
        for (width, height) in [(80, 24), (20, 5), (1, 1), (200, 60)] {
            let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("memory");
            let drawing = Drawing { board: &board, view: &view, shown: &shown, reveal: &Reveal::Nothing };
            terminal.draw(|frame| drawing.draw(frame)).expect("memory");
            let screen: String = terminal.backend().buffer().content().iter().map(|cell| cell.symbol()).collect();
            if width >= 80 {
                for wanted in [
                    "mirror-po…",
                    "ring 7 card 0 queue 0",
                    "ring 999G card 999G queue 999G",
                    "4 of 6",
                    "203.0.113.7",
                    "0.98",
                    "▁▄█",
                    "none so far",
                    "q end",
                ] {
                    assert!(screen.contains(wanted), "{width}x{height}: {wanted} is missing in {screen}");
                }
            }
        }
    }
}

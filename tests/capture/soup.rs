//! Laws that hold for any bytes: no panic, no hang, and mapped and streamed reading agree.
//! In: random bytes behind the beginnings of captures, and captures with random wounds.

use std::io::Write;

use proptest::prelude::*;
use trawlwatch::capture::{Captures, FileReport, InputPath};

use super::variants::variants;
use super::written::*;

/// Both ways to read the same bytes; none where they are refused.
fn both_ways(bytes: &[u8]) -> [Option<(Vec<Seen>, FileReport)>; 2] {
    [bytes.to_vec(), gzip(bytes)].map(|bytes| {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        file.write_all(&bytes).expect("room");
        Captures::open(&[InputPath::parse(file.path())]).ok().map(|_| read_file(file.path()))
    })
}

fn hold_the_laws(bytes: &[u8]) -> Result<(), TestCaseError> {
    let [mapped, streamed] = both_ways(bytes);
    prop_assert_eq!(mapped.is_some(), streamed.is_some());
    if let (Some((frames, report)), Some((streamed_frames, streamed_report))) = (mapped, streamed) {
        let captured: usize = frames.iter().map(|frame| frame.bytes.len()).sum();
        prop_assert!(captured as u64 + report.bytes_skipped <= bytes.len() as u64);
        prop_assert!(frames.iter().all(|frame| frame.wire as usize >= frame.bytes.len()));
        prop_assert_eq!(frames, streamed_frames);
        prop_assert_eq!(report.faults, streamed_report.faults);
        prop_assert_eq!(report.bytes_skipped, streamed_report.bytes_skipped);
    }
    Ok(())
}

proptest! {
    #[test]
    fn no_byte_soup_panics_or_hangs(start in 0_usize..8, soup in prop::collection::vec(any::<u8>(), 0..3000)) {
        let starts = [
            vec![],
            ethernet(),
            header(Big, NANO, (2, 4), 1),
            header(Little, MODIFIED, (2, 4), 1),
            section(Little, 1),
            [section(Big, 1), interface(Big, 1, 0, &[])].concat(),
            vec![0x1f, 0x8b, 8, 0],
            vec![0x28, 0xb5, 0x2f, 0xfd],
        ];
        hold_the_laws(&[starts[start].clone(), soup].concat())?;
    }

    #[test]
    fn no_spoiled_capture_panics_or_hangs(
        variant in any::<prop::sample::Index>(),
        copies in 1_usize..5,
        wounds in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let table = variants();
        let mut bytes = table[variant.index(table.len())].1.repeat(copies);
        for (at, byte) in wounds {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let cut = cut.index(bytes.len() * 2);
        bytes.truncate(cut);
        hold_the_laws(&bytes)?;
    }
}

//! The same rows in every format, and what must not be in any.

use std::sync::{Arc, Mutex};

use ::parquet::file::reader::{FileReader, SerializedFileReader};
use ::parquet::record::RowAccessor;

use super::*;
use crate::flow::row::{CarrierRow, ConnState, FlowRow, RowEnd, SideRow};
use crate::packet::columns::{FlowKey, TunnelKind};
use crate::packet::facts::{AppFacts, AppProtocol, CertificateFacts, Ja4, SeldomFacts};
use crate::privacy::{Key, PseudonymCache, Pseudonymiser};
use crate::report::samples::NOON;
use crate::units::DurationNs;

const SUBSCRIBER: Address = Address([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 20, 3, 4]);
const SERVER: Address = Address([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 203, 0, 113, 7]);
const FEATURES: [&str; 2] = ["upload_share", "gap_cv"];

/// What a test has written, to look at afterwards.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Shared {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock().expect("not poisoned"))
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("not poisoned").extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A TLS flow that says everything, a UDP flow that says nothing, and a mirrored one.
fn rows() -> FlowColumns {
    let key = FlowKey { addresses: [SUBSCRIBER, SERVER], ports: [51_234, 443], context: 0, protocol: 6, version: 4 };
    let certificate = CertificateFacts {
        issuer: "CN=Evil CA\u{1b}[2J".into(),
        subject: "CN=10.20.3.4".into(),
        names: vec!["c.example".into(), "ip-10-20-3-4.c.example".into()],
        key_hash: 0xabc,
        issuer_hash: 0xdef,
        valid_from_s: 0,
    };
    let facts = AppFacts {
        protocol: Some(AppProtocol::Tls),
        server_name: Some("=4.3.20.10.in-addr.arpa".into()),
        alpn: Some("h2".into()),
        ja4: Ja4::of("t13d1516h2_8daaf6152771_e5627efa2ab1"),
        tls_version: Some(0x0304),
        tls_cipher: Some(0x1301),
        server_fingerprint: Some(1),
        certificate: Some(Box::new(certificate)),
        seldom: Some(Box::new(SeldomFacts {
            ja4_retry: None,
            http_method: Some("GET".into()),
            http_path: Some("/a,\"b\"".into()),
            http_status: Some(200),
            ssh_banners: [Some("SSH-2.0-x".into()), None],
        })),
        dns_queries: 2,
        dns_answers: 1,
        ..AppFacts::default()
    };
    let side = SideRow {
        packets: 12,
        ip_bytes: 3456,
        payload_bytes: 2800,
        stream_bytes: 2700,
        ttl_min: 63,
        ttl_max: 64,
        ..SideRow::default()
    };
    let tls = FlowRow {
        key,
        flow_start: NOON,
        ts_first: NOON,
        ts_last: NOON.after(DurationNs(1_500_000_001)),
        end: RowEnd::Closed,
        state: ConnState::SF,
        history: *b"ShADadFf\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        rtt_syn_ack: DurationNs::from_millis(21),
        facts: Some(Arc::new(facts)),
        first_frame: (0, 17),
        sides: [side, SideRow { packets: 9, ..side }],
        ..FlowRow::default()
    };
    let strangers =
        FlowKey { addresses: [Address::v4([192, 0, 2, 1]), SERVER], protocol: 17, ports: [53, 40_000], ..key };
    let plain =
        FlowRow { key: strangers, orig_end: 1, ts_first: NOON, ts_last: NOON, flow_start: NOON, ..FlowRow::default() };
    let carrier = CarrierRow {
        kind: TunnelKind::ErspanII,
        outer: [Address::v4([10, 20, 0, 1]), SERVER],
        port: 0,
        id: 7,
        depth: 1,
        packets: [[1, 0], [1, 0]],
        bytes: [[60, 0], [60, 0]],
    };
    let mirrored = FlowRow { carrier: Some(carrier), ..plain.clone() };
    let mut rows = FlowColumns::default();
    for row in [tls, plain, mirrored] {
        rows.push(row);
    }
    rows
}

/// Pseudonyms for 10.20.0.0/16, as a run makes them.
fn pseudonyms() -> Show<'static> {
    let mut cache = PseudonymCache::new(Pseudonymiser::new(&Key::derive(b"test")));
    Box::new(move |real| match real.as_v4() {
        Some([10, 20, ..]) => cache.pseudonym(real),
        _ => real,
    })
}

fn written(format: FlowFormat, show: Show<'_>, batches: &[FlowColumns]) -> Vec<u8> {
    let out = Shared::default();
    let mut sink = format.open(Destination::stream(out.clone()), &FEATURES, show).expect("a sink");
    for rows in batches {
        let (one, two) = (vec![0.25; rows.len()], vec![-0.0; rows.len()]);
        sink.write(rows, &[("upload_share", &one), ("gap_cv", &two)]).expect("written");
    }
    sink.finish().expect("finished");
    out.take()
}

#[test]
fn fields_have_one_name_each_and_a_doc() {
    let mut names: Vec<&str> = FIELDS.iter().map(|field| field.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), FIELDS.len());
    for field in FIELDS {
        assert!(!field.doc.is_empty() && !field.name.starts_with("f_"), "{}", field.name);
        assert!(
            field.name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'),
            "{}",
            field.name
        );
    }
}

#[test]
fn every_field_keeps_to_its_kind() {
    let (rows, mut show) = (rows(), pseudonyms());
    for i in 0..rows.len() {
        let mut row = fields::RowView::new(&rows, i, &mut *show);
        for field in FIELDS {
            let cell = field.read(&mut row);
            let fits = matches!(
                (&cell, field.kind),
                (fields::Cell::None, _)
                    | (fields::Cell::Count(_), fields::FieldKind::Count)
                    | (fields::Cell::Real(_), fields::FieldKind::Real)
                    | (fields::Cell::Time(_), fields::FieldKind::Time)
                    | (fields::Cell::Text(_), fields::FieldKind::Text)
            );
            assert!(fits, "{}: {cell:?}", field.name);
        }
    }
}

#[test]
fn csv_as_it_is_written() {
    let text = String::from_utf8(written(FlowFormat::Csv, pseudonyms(), &[rows()])).expect("UTF-8");
    // Turned on its side: a column a line, one value a row.
    let mut reader = ::csv::Reader::from_reader(text.as_bytes());
    let header = reader.headers().expect("a header").clone();
    let records: Vec<_> = reader.records().map(|record| record.expect("a record")).collect();
    let mut turned = String::new();
    for (i, name) in header.iter().enumerate() {
        let values: Vec<&str> = records.iter().map(|record| &record[i]).collect();
        turned.push_str(&format!("{name} | {}\n", values.join(" | ")));
    }
    insta::assert_snapshot!(turned);
}

#[test]
fn json_as_it_is_written() {
    let text = String::from_utf8(written(FlowFormat::Json, pseudonyms(), &[rows()])).expect("UTF-8");
    for line in text.lines() {
        serde_json::from_str::<serde_json::Value>(line).expect("valid JSON");
    }
    insta::assert_snapshot!(text);
}

#[test]
fn no_format_gives_a_subscriber_away() {
    for &(name, format, _) in FLOW_FORMATS {
        let hidden = written(format, pseudonyms(), &[rows()]);
        // Parquet compresses: look at what it reads back as.
        let text = match format {
            FlowFormat::Parquet => read_back(hidden),
            _ => String::from_utf8(hidden).expect("UTF-8"),
        };
        for secret in ["10.20.", "10-20-", "20.10.in-addr"] {
            assert!(!text.contains(secret), "{name}: {secret}\n{text}");
        }
        assert!(text.contains("203.0.113.7"), "{name}: collectors are never hidden");
        assert!(!text.contains('\u{1b}'), "{name}");
    }
}

#[test]
fn community_ids_need_both_addresses_open() {
    let json = |show: Show<'_>| {
        let text = String::from_utf8(written(FlowFormat::Json, show, &[rows()])).expect("UTF-8");
        let has =
            |line: &str| serde_json::from_str::<serde_json::Value>(line).expect("JSON").get("community_id").is_some();
        text.lines().map(has).collect::<Vec<bool>>()
    };
    assert_eq!(json(pseudonyms()), [false, true, true]);
    assert_eq!(json(Box::new(|real| real)), [true, true, true]);
}

#[test]
fn a_sink_without_rows_still_says_its_columns() {
    let csv = String::from_utf8(written(FlowFormat::Csv, pseudonyms(), &[])).expect("UTF-8");
    assert!(csv.starts_with("ts,duration,") && csv.ends_with(",f_upload_share,f_gap_cv\n"), "{csv}");
    let reader = SerializedFileReader::new(bytes_of(written(FlowFormat::Parquet, pseudonyms(), &[]))).expect("Parquet");
    assert_eq!(reader.metadata().file_metadata().num_rows(), 0);
    assert_eq!(reader.metadata().file_metadata().schema_descr().num_columns(), FIELDS.len() + FEATURES.len());
}

#[test]
fn parquet_reads_back_with_its_types() {
    let bytes = written(FlowFormat::Parquet, pseudonyms(), &[rows(), rows()]);
    let reader = SerializedFileReader::new(bytes_of(bytes)).expect("Parquet");
    let schema = reader.metadata().file_metadata().schema_descr();
    let mut printed = Vec::new();
    ::parquet::schema::printer::print_schema(&mut printed, schema.root_schema());
    insta::assert_snapshot!(String::from_utf8(printed).expect("UTF-8"));

    let at = |name: &str| FIELDS.iter().position(|field| field.name == name).expect(name);
    let all: Vec<_> = reader.get_row_iter(None).expect("rows").map(|row| row.expect("a row")).collect();
    assert_eq!(all.len(), 6);
    assert_eq!(all[0].get_ulong(at("orig_bytes")).expect("a count"), 2700);
    assert_eq!(all[0].get_double(at("duration")).expect("a measure"), 1.500_000_001);
    assert_eq!(all[0].get_string(at("resp_h")).expect("words"), "203.0.113.7");
    assert_eq!(all[3].get_string(at("alpn")).expect("words"), "h2");
    assert!(all[1].get_string(at("alpn")).is_err(), "not known");
    assert_eq!(all[5].get_float(FIELDS.len()).expect("a feature"), 0.25);
}

#[test]
fn row_groups_are_bounded() {
    let mut many = FlowColumns::default();
    let one = rows().row(1);
    for _ in 0..parquet::ROW_GROUP_ROWS + 1 {
        many.push(one.clone());
    }
    let reader =
        SerializedFileReader::new(bytes_of(written(FlowFormat::Parquet, pseudonyms(), &[many]))).expect("Parquet");
    let groups: Vec<i64> = reader.metadata().row_groups().iter().map(|group| group.num_rows()).collect();
    assert_eq!(groups, [parquet::ROW_GROUP_ROWS as i64, 1]);
}

#[test]
fn a_broken_pipe_keeps_its_kind() {
    struct Broken;
    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    for &(name, format, _) in FLOW_FORMATS {
        let open = format.open(Destination::Stream(Box::new(Broken)), &[], pseudonyms());
        let result = open.and_then(|mut sink| sink.write(&rows(), &[]).and_then(|()| sink.finish()));
        assert_eq!(result.expect_err(name).kind(), io::ErrorKind::BrokenPipe, "{name}");
    }
}

#[test]
fn a_file_appears_when_it_is_finished() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    for &(name, format, _) in FLOW_FORMATS {
        let path = dir.path().join(name);
        let destination = Destination::File(PartFile::create(&path).expect("a part"));
        let mut sink = format.open(destination, &[], pseudonyms()).expect("a sink");
        sink.write(&rows(), &[]).expect("written");
        assert!(!path.exists(), "{name}");
        sink.finish().expect("finished");
        assert!(std::fs::metadata(&path).expect("a file").len() > 0, "{name}");
    }
    assert_eq!(std::fs::read_dir(dir.path()).expect("a directory").count(), FLOW_FORMATS.len());
}

fn read_back(bytes: Vec<u8>) -> String {
    let reader = SerializedFileReader::new(bytes_of(bytes)).expect("Parquet");
    let rows = reader.get_row_iter(None).expect("rows");
    rows.map(|row| format!("{}\n", row.expect("a row"))).collect()
}

/// A file to read from.
fn bytes_of(bytes: Vec<u8>) -> std::fs::File {
    use std::io::Seek;
    let mut file = tempfile::tempfile().expect("a temporary file");
    file.write_all(&bytes).and_then(|()| file.rewind()).expect("written");
    file
}

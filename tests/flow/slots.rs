//! Places of the flow table: freed, used again, and nothing left of who was there before.

use super::*;

#[test]
fn a_slot_that_is_used_again_tells_nothing_of_the_flow_before() {
    // Each connection ends before the next begins, so that all share one slot; the last packet stands alone in it.
    let mut packets = connection(SECOND);
    packets.extend(connection(100 * SECOND));
    packets.push(packet(200 * SECOND, key(2, [40_001, 9], UDP), 0, 10));
    let config = FlowConfig { window: DurationNs::from_secs(60), ..FlowConfig::default() };
    let mut table = FlowTable::new(config);
    let (mut rows, mut observations, frames) = (FlowColumns::default(), Vec::new(), frames());
    for packet in &packets {
        let mut columns = PacketColumns::default();
        columns.push(*packet);
        table.close_window(TimestampNs(packet.ts.0 / (60 * SECOND) * (60 * SECOND)), &mut rows, &mut observations);
        table.apply(&columns, &frames, &mut rows, &mut observations);
    }
    table.finish(&mut rows, &mut observations);
    let rows: Vec<FlowRow> = (0..rows.len()).map(|i| rows.row(i)).collect();
    let [first, second, alone] = rows.as_slice() else { panic!("{rows:?}") };
    assert_eq!(first.sides, second.sides);
    assert_eq!((alone.sides[0].packets, alone.sides[0].payload_bytes), (1, 10));
    assert_eq!(alone.sides[1], SideRow::default(), "the side that sent nothing");
}

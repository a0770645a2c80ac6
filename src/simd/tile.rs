//! Tiles: rows of small counts turned into columns, so that rows become the lanes.
//! In: rows of N counts (u16). Out: N columns of [`TILE_ROWS`] values; rows that are missing count as zeros.
//! Bounds: a tile of 16 counts is 2 KB, and 4 KB as f32: with what is worked out from it, it stays in the first-level cache.

/// Rows of a tile: four registers of 512 bits or eight of 256 hold one column of f32.
pub(super) const TILE_ROWS: usize = 64;
/// Rows that are turned at a time: with 16 of them the last step leaves whole runs of 32 bytes.
const TURNED_ROWS: usize = 16;
/// Most counts of a row.
pub(super) const COUNTS_MAX: usize = 16;

/// One number for each row of a tile.
pub(super) type Column<T> = [T; TILE_ROWS];

/// The columns of a tile: of the first [`TILE_ROWS`] rows, or of all there are.
#[inline(always)]
pub(super) fn turn<const N: usize>(rows: &[[u16; N]], columns: &mut [Column<u16>; N]) {
    if let Some(rows) = rows.first_chunk() {
        turn_whole(rows, columns);
    } else {
        let mut padded = [[0; N]; TILE_ROWS];
        padded[..rows.len()].copy_from_slice(rows);
        turn_whole(&padded, columns);
    }
}

/// One step writes the lower and the upper half of the rows in turns, which moves the highest bit of a row's number behind the
/// number of the column; after log2(16) steps all of the row's number stands there. A step is a loop that the compiler knows
/// as interleaved stores; of a loop over rows and columns it makes loads and stores of 16 bits.
#[inline(always)]
fn turn_whole<const N: usize>(rows: &[[u16; N]; TILE_ROWS], columns: &mut [Column<u16>; N]) {
    const { assert!(N <= COUNTS_MAX && TURNED_ROWS == 1 << 4) };
    let (mut one, mut other) = ([0; TURNED_ROWS * COUNTS_MAX], [0; TURNED_ROWS * COUNTS_MAX]);
    let (one, other) = (&mut one[..TURNED_ROWS * N], &mut other[..TURNED_ROWS * N]);
    for (part, rows) in rows.chunks_exact(TURNED_ROWS).enumerate() {
        interleave(rows.as_flattened(), one);
        interleave(one, other);
        interleave(other, one);
        interleave(one, other);
        for (column, turned) in columns.iter_mut().zip(other.chunks_exact(TURNED_ROWS)) {
            column[part * TURNED_ROWS..][..TURNED_ROWS].copy_from_slice(turned);
        }
    }
}

/// The first half's values at even places, the second half's at odd ones.
#[inline(always)]
fn interleave(from: &[u16], to: &mut [u16]) {
    let (low, high) = from.split_at(from.len() / 2);
    let (high, to) = (&high[..low.len()], &mut to[..2 * low.len()]);
    for i in 0..low.len() {
        to[2 * i] = low[i];
        to[2 * i + 1] = high[i];
    }
}

/// Writes a tile's numbers to where its rows stand in a column of all rows.
#[inline(always)]
pub(super) fn put(values: &Column<f32>, from: usize, out: &mut [f32]) {
    let out = &mut out[from..];
    match out.first_chunk_mut() {
        Some(out) => *out = *values,
        None => out.copy_from_slice(&values[..out.len()]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turning_puts_each_count_into_its_column() {
        fn check<const N: usize>() {
            let all: Vec<[u16; N]> = (0..70).map(|r| std::array::from_fn(|c| (r * 100 + c) as u16)).collect();
            for n in [1, 15, 16, 63, 64, 70] {
                let mut columns = [[7; TILE_ROWS]; N];
                turn(&all[..n], &mut columns);
                for (c, column) in columns.iter().enumerate() {
                    for (r, &count) in column.iter().enumerate() {
                        let wanted = if r < n { all[r][c] } else { 0 };
                        assert_eq!(count, wanted, "{n} rows of {N}: row {r}, column {c}");
                    }
                }
            }
        }
        check::<8>();
        check::<12>();
        check::<16>();
    }
}

//! Every storage: what comes back, where bytes lie, and what is lost.

use super::*;

/// Numbers that look like a layer's weights: bell-shaped, a few much larger.
fn weights(count: usize) -> Vec<f32> {
    let mut state = 0x9e37_79b9u32;
    let mut unit = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as f32 / u32::MAX as f32
    };
    (0..count).map(|i| (0..6).map(|_| unit() - 0.5).sum::<f32>() * if i % 97 == 0 { 4.0 } else { 1.0 }).collect()
}

fn loss(dtype: DType, values: &[f32], columns: usize) -> f64 {
    let stored = encode(dtype, values, columns);
    assert_eq!(stored.len(), values.len() / columns * dtype.row_bytes(columns));
    let back = decode(dtype, &stored, columns);
    assert_eq!(back.len(), values.len());
    let square = |x: f32| f64::from(x) * f64::from(x);
    let error: f64 = values.iter().zip(&back).map(|(a, b)| square(a - b)).sum();
    error / values.iter().copied().map(square).sum::<f64>()
}

#[test]
fn what_is_lost_is_what_the_bits_explain() {
    let values = weights(32 * 1000);
    let allowed = [
        (DType::F32, 0.0),
        (DType::F16, 1e-7),
        (DType::BF16, 1e-5),
        (DType::Q8, 1e-4),
        (DType::Q4, 2e-2),
        (DType::Q4A, 1.5e-2),
    ];
    for columns in [32, 64, 160, 256, 320, 8000] {
        for (dtype, most) in allowed {
            let loss = loss(dtype, &values, columns);
            assert!(loss <= most && loss >= most / 20.0, "{dtype}, {columns} columns: {loss:.2e}");
        }
    }
}

/// Losses weighed as the search weighs them.
#[test]
fn searching_for_a_scale_beats_the_one_that_holds_the_largest() {
    let values = weights(32 * 1000);
    let weighed = |back: &[f32]| -> f64 {
        values.iter().zip(back).map(|(&x, y)| f64::from(x * x) * f64::from((x - y) * (x - y))).sum()
    };
    let plain: Vec<f32> = values
        .chunks_exact(32)
        .flat_map(|group| {
            let largest = group.iter().fold(0.0f32, |a, &b| if b.abs() > a.abs() { b } else { a });
            let scale = f16::from_f32(largest / -8.0).to_f32();
            group.iter().map(move |x| (x / scale).round().clamp(-8.0, 7.0) * scale)
        })
        .collect();
    let searched = decode(DType::Q4, &encode(DType::Q4, &values, 64), 64);
    assert!(weighed(&searched) < 0.9 * weighed(&plain), "{} and {}", weighed(&searched), weighed(&plain));
}

#[test]
fn blocks_are_cut_short_after_the_last_group_and_keep_room_for_all_scales() {
    assert_eq!(DType::Q4.row_bytes(256), 8 * 16 + 16);
    assert_eq!(DType::Q4.row_bytes(576), 2 * (8 * 16 + 16) + 2 * 16 + 16);
    assert_eq!(DType::Q4A.row_bytes(32), 16 + 32);
    assert_eq!(DType::Q8.row_bytes(288), 8 * 32 + 16 + 32 + 16);
    // One group after a whole block: its quants at 144, its scale right after them.
    let mut row = vec![0.0; 288];
    row[256] = -8.0;
    let stored = encode(DType::Q4, &row, 288);
    assert_eq!(stored[144], 0x80, "element 0 is 0, element 4 is 8");
    assert_eq!(f16::from_le_bytes([stored[160], stored[161]]).to_f32(), 1.0);
    assert_eq!(decode(DType::Q4, &stored, 288), row);
}

#[test]
fn numbers_that_cannot_be_kept_do_no_harm() {
    for dtype in [DType::Q8, DType::Q4, DType::Q4A] {
        let stored = encode(dtype, &[0.0; 64], 64);
        assert_eq!(decode(dtype, &stored, 64), [0.0; 64], "{dtype}");
        let huge = decode(dtype, &encode(dtype, &[1e30; 32], 32), 32);
        assert!(huge.iter().all(|x| x.is_finite()), "{dtype}");
        let constant = decode(dtype, &encode(dtype, &[0.5; 32], 32), 32);
        assert!(constant.iter().all(|x| (x - 0.5).abs() < 0.04), "{dtype}: {constant:?}");
    }
    assert_eq!(decode(DType::F16, &encode(DType::F16, &[1e9, f32::NAN], 2), 2)[0], 65_504.0);
}

#[test]
fn recoding_is_decoding_and_encoding_however_many_rows_there_are() {
    for (rows, columns) in [(1, 32), (3, 64), (2000, 96), (1, 200_000), (5000, 32)] {
        let values = weights(rows * columns);
        for from in [DType::F32, DType::F16, DType::BF16, DType::Q8] {
            let stored = encode(from, &values, columns);
            for to in [DType::F32, DType::F16, DType::Q8, DType::Q4, DType::Q4A] {
                let expected = encode(to, &decode(from, &stored, columns), columns);
                assert!(recode(from, to, &stored, columns) == expected, "{from} to {to}, {rows} by {columns}");
            }
        }
    }
    assert!(recode(DType::F16, DType::F32, &[], 0).is_empty());
    assert_eq!(recode(DType::F16, DType::F32, &[0, 60, 0, 64], 2), [0, 0, 128, 63, 0, 0, 0, 64]);
}

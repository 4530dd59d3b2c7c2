//! Cases of `random`.

use crate::case::{Case, Output, Work};
use half::{bf16, f16};
use quernel::kernels::random::{self, Numbers};
use quernel::tensor::{DType, pitch};

/// (first row, rows, columns): around a quad, a pack, a workgroup of packs, and past the fold of a dispatch.
const SHAPES: [(usize, usize, usize); 12] = [
    (0, 1, 1),
    (0, 1, 7),
    (3, 2, 8),
    (0, 5, 9),
    (1, 1, 255),
    (0, 1, 257),
    (7, 31, 64),
    (100_000, 3, 172),
    (64, 13, 576),
    (0, 127, 33),
    (0, 64, 4096),
    (5, 1025, 8200),
];

/// Bit for bit: a weight is the same number on the device as on the host.
pub fn cases() -> Vec<Case> {
    let dtypes = [DType::F32, DType::F16, DType::BF16];
    let all = SHAPES.into_iter().flat_map(|shape| dtypes.map(|dtype| (shape, dtype)));
    all.map(|((first, rows, columns), dtype)| {
        Case::new("random", true, format!("{dtype}/{rows}x{columns}/from{first}"), move |seed| {
            let numbers = Numbers::for_columns(columns, seed.len() as u32);
            let rows = first..first + rows;
            let launches = random::launch(numbers, rows.clone(), columns, dtype).map(|launch| (launch, vec![]));
            // What a row's padding holds is no part of the definition, and is what the row would go on with.
            let values = random::reference(numbers, rows, pitch(columns));
            let outputs = vec![Output::words("y", words(dtype, &values))];
            Work { launches: launches.into_iter().collect(), inputs: vec![], outputs }
        })
    })
    .collect()
}

fn words(dtype: DType, values: &[f64]) -> Vec<u32> {
    let pair = |pair: &[f64], bits: fn(f64) -> u16| u32::from(bits(pair[0])) | u32::from(bits(pair[1])) << 16;
    match dtype {
        DType::F16 => values.chunks(2).map(|two| pair(two, |x| f16::from_f64(x).to_bits())).collect(),
        DType::BF16 => values.chunks(2).map(|two| pair(two, |x| bf16::from_f64(x).to_bits())).collect(),
        _ => values.iter().map(|&x| (x as f32).to_bits()).collect(),
    }
}

//! Cases of the kernels that measure a device.

use crate::case::{Case, Output, Work};
use crate::data::Rng;
use half::f16;
use quernel::bench::probes::{dot, empty, fma, matrix, memory};
use quernel::tensor::{Caps, DType, Matrix};

/// Threads and rounds: one, around a workgroup, several.
const WORK: [(usize, u32); 6] = [(1, 1), (3, 2), (63, 1), (64, 3), (65, 5), (1000, 2)];

/// All sums are of whole numbers that every storage holds exactly, so nothing is rounded.
pub fn cases(caps: &Caps) -> Vec<Case> {
    let mut all = memories(caps);
    all.extend(fmas(caps));
    all.extend(dots());
    all.extend(caps.matrices.iter().filter_map(|shape| matrix_case(*shape, caps)));
    all.extend([1, 7].map(empty_case));
    all
}

fn memories(caps: &Caps) -> Vec<Case> {
    let sizes = [(1, 1, 1), (8, 3, 2), (64, 2, 1), (64, 5, 3), (256, 7, 1), (32, 3, 17)];
    let ways = [("read", 4, false), ("read", 4, true), ("read", 64, false), ("read", 64, true), ("copy", 4, false)];
    let ways = ways.into_iter().flat_map(|(kernel, loads, together)| {
        let widths = if caps.int64 && kernel == "read" { vec![false, true] } else { vec![false] };
        widths.into_iter().map(move |wide| (kernel, loads, wide, together))
    });
    let all = ways.flat_map(|way| sizes.map(|size| (size, way)));
    all.map(|((workgroup, workgroups, rounds), (kernel, loads, wide, together))| {
        let division = memory::Division { workgroup, workgroups, loads, wide, together, rounds };
        let apart = if together { "together" } else { "apart" };
        let width = if wide { "wide" } else { "narrow" };
        let name = format!("{workgroups}x{workgroup}/{apart}/{width}/{rounds}x{loads}");
        Case::new(kernel, !wide, name, move |seed| {
            let mut rng = Rng::new(seed);
            let x: Vec<u32> = (0..division.bytes() / 4).map(|_| rng.below(1 << 32) as u32).collect();
            let (launch, y) = match kernel {
                "read" => (memory::read(division), memory::reference(&x, division)),
                _ => (memory::copy(division), x.clone()),
            };
            let launches = launch.map(|launch| (launch, vec![])).into_iter().collect();
            let inputs = vec![("x", bytemuck::cast_slice(&x).to_vec())];
            Work { launches, inputs, outputs: vec![Output::words("y", y)] }
        })
    })
    .collect()
}

fn fmas(caps: &Caps) -> Vec<Case> {
    let numbers = if caps.f16 { vec![DType::F32, DType::F16] } else { vec![DType::F32] };
    let steps = [[1.0, 1.0], [-1.0, 3.0], [0.0, 2.0]];
    let all = numbers.into_iter().flat_map(|number| steps.map(|step| (number, step)));
    let all = all.flat_map(|(number, step)| WORK.map(|work| (number, step, work)));
    all.map(|(number, step, (threads, rounds))| {
        let name = format!("{number}/{threads}x{rounds}/by{}plus{}", step[0], step[1]);
        Case::new("fma", number == DType::F32, name, move |_| {
            let launch = fma::launch(threads, rounds, 64, number, step).map(|launch| (launch, vec![]));
            let y = fma::reference(threads, rounds, step).into_iter().map(|y| (y as f32).to_bits()).collect();
            Work { launches: launch.into_iter().collect(), inputs: vec![], outputs: vec![Output::words("y", y)] }
        })
    })
    .collect()
}

fn dots() -> Vec<Case> {
    let all = [0x0102_0304, 0xfffe_7f80, 0, 0x0000_0001].into_iter().flat_map(|factor| WORK.map(|work| (factor, work)));
    all.map(|(factor, (threads, rounds))| {
        Case::new("dot", true, format!("{threads}x{rounds}/by{factor:#010x}"), move |_| {
            let y = Output::words("y", dot::reference(threads, rounds, factor));
            let launches = vec![(dot::launch(threads, rounds, 64, factor), vec![])];
            Work { launches, inputs: vec![], outputs: vec![y] }
        })
    })
    .collect()
}

/// `None` for a shape that the kernel does not have.
fn matrix_case(shape: Matrix, caps: &Caps) -> Option<Case> {
    let (workgroups, rounds) = (3, 5);
    let (_, subgroup) = caps.subgroup?;
    let launch = matrix::launch(workgroups, rounds, subgroup, shape)?;
    let (side, number) = (shape.m as usize, shape.input?);
    Some(Case::new("matrix", false, format!("{number}/{side}x{side}"), move |seed| {
        let mut rng = Rng::new(seed);
        let mut whole =
            |squares: usize| -> Vec<f64> { (0..squares * side * side).map(|_| rng.below(7) as f64 - 3.0).collect() };
        let (a, b) = (whole(4), whole(2));
        let one = matrix::reference(&a, &b, rounds, side);
        let subgroups = workgroups * (matrix::WORKGROUP / subgroup) as usize;
        let y = (0..subgroups).flat_map(|_| one.iter().map(|y| (*y as f32).to_bits())).collect();
        let stored = |values: &[f64]| -> Vec<u8> {
            match number {
                DType::F16 => values.iter().flat_map(|&x| f16::from_f64(x).to_le_bytes()).collect(),
                _ => values.iter().flat_map(|&x| (x as f32).to_le_bytes()).collect(),
            }
        };
        let inputs = vec![("a", stored(&a)), ("b", stored(&b))];
        Work { launches: vec![(launch.clone(), vec![])], inputs, outputs: vec![Output::words("y", y)] }
    }))
}

/// Three dispatches one after the other. The word is not a number at first, and grows all the same.
fn empty_case(term: u32) -> Case {
    Case::new("empty", true, format!("three/plus{term}"), move |_| {
        let y = (0..3).fold(crate::data::POISON, |y, _| empty::reference(y, term));
        let launches = (0..3).map(|_| (empty::launch(term), vec![])).collect();
        Work { launches, inputs: vec![], outputs: vec![Output::words("y", vec![y])] }
    })
}

//! The weights that a graph uses: named tensors, parts of them, and tables made from the configuration.

use super::{Builder, Op, Source, Value, Weight, Why};
use crate::kernels::rope;
use crate::tensor::{DType, Fact, GROUP, Shape};
use crate::{Error, Result};
use std::ops::Range;
use std::panic::Location;

/// What a matrix is for, and how it lies in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    Inner,
    Table,
    Transposed,
}

impl Builder<'_> {
    /// The matrix `name` of `shape`: (rows, columns).
    ///
    /// # Errors
    /// Where there is no such tensor, or its shape is another.
    #[track_caller]
    pub fn weight(&mut self, name: &str, shape: [usize; 2]) -> Result<Value> {
        self.rows(name, 0..shape[0], shape, Kept::Inner, Location::caller())
    }

    /// The matrix `name` of `shape`, (tokens of the vocabulary or positions, columns), as an embedding or an output head:
    /// every token passes it, so it is kept finer than the matrices between.
    ///
    /// # Errors
    /// As [`weight`](Self::weight).
    #[track_caller]
    pub fn table(&mut self, name: &str, shape: [usize; 2]) -> Result<Value> {
        self.rows(name, 0..shape[0], shape, Kept::Table, Location::caller())
    }

    /// Rows of the matrix `name`, which has `shape` as a whole: one of several weights that were stored as one.
    ///
    /// # Errors
    /// As [`weight`](Self::weight).
    #[track_caller]
    pub fn weight_rows(&mut self, name: &str, rows: Range<usize>, shape: [usize; 2]) -> Result<Value> {
        self.rows(name, rows, shape, Kept::Inner, Location::caller())
    }

    /// Rows of a matrix that is stored transposed: the tensor `name` is (columns, rows) where `shape` is (rows, columns).
    ///
    /// # Errors
    /// As [`weight`](Self::weight).
    #[track_caller]
    pub fn weight_transposed(&mut self, name: &str, rows: Range<usize>, shape: [usize; 2]) -> Result<Value> {
        self.rows(name, rows, shape, Kept::Transposed, Location::caller())
    }

    fn rows(
        &mut self,
        name: &str,
        rows: Range<usize>,
        shape: [usize; 2],
        kept: Kept,
        at: &'static Location<'static>,
    ) -> Result<Value> {
        // Groups lie along a row, so what is in groups lies as it multiplies.
        let transposed = kept == Kept::Transposed && !self.tensors.fact(name)?.dtype.is_grouped();
        let stored = if transposed { [shape[1], shape[0]] } else { shape };
        let found = self.expect(name, Shape::from(stored))?;
        let key = if rows == (0..shape[0]) { name.to_owned() } else { format!("{name}[{}..{}]", rows.start, rows.end) };
        let (dtype, why) = self.storage(found.dtype, kept, shape[1]);
        let fact = Fact::new(dtype, [rows.len(), shape[1]]);
        let source = Source::Tensor { name: name.to_owned(), rows, transposed };
        Ok(self.add_weight(Weight { name: key, source, fact, why }, at))
    }

    /// How a matrix is stored on the GPU: as asked for, where rows are whole numbers of groups.
    fn storage(&self, found: DType, kept: Kept, columns: usize) -> (DType, Why) {
        match self.width {
            None => (found, Why::Stored),
            Some(wanted) if found == wanted => (wanted, Why::Asked),
            Some(wanted) if !wanted.is_grouped() => (wanted, Why::Asked),
            Some(_) if !columns.is_multiple_of(GROUP) => (DType::F16, Why::NoGroups),
            Some(DType::Q8) => (DType::Q8, Why::Asked),
            Some(_) if kept == Kept::Table => (DType::Q8, Why::Table),
            Some(wanted) => (wanted, Why::Asked),
        }
    }

    /// The vector `name` of `len` elements: a bias, or a norm's weight.
    ///
    /// # Errors
    /// As [`weight`](Self::weight).
    #[track_caller]
    pub fn vector(&mut self, name: &str, len: usize) -> Result<Value> {
        self.vector_part(name, 0..len, len)
    }

    /// A part of the vector `name`, which has `len` elements as a whole.
    ///
    /// # Errors
    /// As [`weight`](Self::weight).
    #[track_caller]
    pub fn vector_part(&mut self, name: &str, part: Range<usize>, len: usize) -> Result<Value> {
        let at = Location::caller();
        self.expect(name, Shape::from([len]))?;
        let key = if part == (0..len) { name.to_owned() } else { format!("{name}[{}..{}]", part.start, part.end) };
        let fact = Fact::new(DType::F32, [part.len()]);
        let source = Source::Tensor { name: name.to_owned(), rows: part, transposed: false };
        Ok(self.add_weight(Weight { name: key, source, fact, why: Why::Asked }, at))
    }

    /// Whether the checkpoint has a tensor `name`.
    pub fn has(&self, name: &str) -> bool {
        self.tensors.contains(name)
    }

    /// The table of rotary angles for positions below `context`.
    #[track_caller]
    pub fn angles(&mut self, angles: &rope::Angles, context: usize) -> Value {
        let fact = Fact::new(DType::F32, [context, 2 * angles.frequencies.len()]);
        let source = Source::Angles { angles: angles.clone(), context };
        let weight = Weight { name: "rope.angles".to_owned(), source, fact, why: Why::Asked };
        self.add_weight(weight, Location::caller())
    }

    fn add_weight(&mut self, weight: Weight, at: &'static Location<'static>) -> Value {
        let known = self.graph.weights.iter().position(|known| known.name == weight.name);
        let fact = weight.fact.clone();
        let index = known.unwrap_or_else(|| {
            self.graph.weights.push(weight);
            self.graph.weights.len() - 1
        });
        match self.graph.nodes.iter().position(|node| node.op == Op::Weight(index)) {
            Some(node) => Value(node),
            None => self.push(Op::Weight(index), vec![], fact, at),
        }
    }

    fn expect(&self, name: &str, shape: Shape) -> Result<Fact> {
        let found = self.tensors.fact(name)?;
        if found.shape != shape {
            let reason = format!("is {}, and the configuration makes it {shape}", found.shape);
            return Err(Error::bad_tensor(self.tensors.file(name), name, reason));
        }
        Ok(found)
    }
}

//! What a case is.

use crate::data::seed;
use crate::device::Device;
pub use quernel::doctor::{Output, Work};

/// Gives the error as [`nmse`], or says what is wrong.
pub type Test = Box<dyn Fn(&Device) -> Result<f64, String> + Send + Sync>;

/// One test of one kernel.
pub struct Case {
    pub kernel: &'static str,
    /// Variant and shapes, in the words that a filter of the run may name.
    pub name: String,
    /// The least device can run it: it is run on one with WebGPU's default limits too.
    pub portable: bool,
    /// The test itself.
    pub test: Test,
}

impl Case {
    /// A case that runs what `work` builds from its name, and compares it with the definition.
    pub fn new(
        kernel: &'static str,
        portable: bool,
        name: String,
        work: impl Fn(&str) -> Work + Send + Sync + 'static,
    ) -> Self {
        let seed = seed(kernel, &name);
        Self { kernel, name, portable, test: Box::new(move |device| device.check(&work(&seed))) }
    }
}

//! What an engine is: asked, and never changed by the answer.

use super::Engine;
use super::session::lock;
use crate::checkpoint::Generation;
use crate::gpu::Gpu;
use crate::graph::Formats;
use crate::model::Model;
use crate::runtime::Need;

impl Engine {
    /// The model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// What the checkpoint says about generating.
    pub fn generation(&self) -> &Generation {
        &self.generation
    }

    /// Tokens that a session can hold.
    pub fn context(&self) -> usize {
        self.context
    }

    /// Sessions that a step can hold.
    pub fn sessions(&self) -> usize {
        self.options.sessions
    }

    /// How many of the model's matrices are stored how on the device, and why.
    pub fn formats(&self) -> &Formats {
        &self.formats
    }

    /// What the model takes on the device, with its cache and its largest step: what was known before it was loaded.
    pub fn need(&self) -> Need {
        self.need
    }

    /// The device it runs on.
    pub fn gpu(&self) -> &Gpu {
        self.executor.gpu()
    }

    /// Pages of the cache that no session owns.
    pub fn free_pages(&self) -> usize {
        lock(&self.pool).free()
    }
}

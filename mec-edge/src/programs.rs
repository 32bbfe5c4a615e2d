//! The programs of a node: which runs, which may take its place, which was refused, and the one on disk.

use std::error::Error;

use model::program::Program;
use model::{Generation, NodeName};

use crate::state::{PassedOver, StateError, StateFolder};
use crate::told::in_full;

/// The programs of a node.
#[derive(Debug)]
pub(crate) struct Programs {
    name: NodeName,
    state: StateFolder,
    running: Option<Program>,
    refused: Option<(Generation, String)>,
}

/// Why a program is not even looked at. What ran before goes on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotAdmitted {
    /// It is another node's.
    #[error("the program is for {found}, and this is {here}")]
    OtherNode {
        /// The node that it is for.
        found: NodeName,
        /// This one.
        here: NodeName,
    },
    /// It is older than what runs.
    #[error("generation {found} is older than generation {running}, which runs")]
    Older {
        /// Its generation.
        found: Generation,
        /// The one that runs.
        running: Generation,
    },
    /// It says something else than what runs under the same number.
    #[error("generation {0} runs already, and says something else")]
    Contradicts(Generation),
}

impl Programs {
    pub(crate) const fn new(name: NodeName, state: StateFolder) -> Self {
        Self { name, state, running: None, refused: None }
    }

    /// The program on disk, if there is one that is whole, and the files that are not.
    pub(crate) fn load(&mut self) -> (Option<Program>, Vec<PassedOver>) {
        match self.state.load() {
            Ok(found) => (found.program, found.passed_over),
            Err(error) => {
                self.refuse(Generation::NONE, &error);
                (None, Vec::new())
            }
        }
    }

    /// May it be run? If so: is it another than what runs?
    pub(crate) fn admit(&self, program: &Program) -> Result<bool, NotAdmitted> {
        let found = &program.content.edge;
        if *found != self.name {
            return Err(NotAdmitted::OtherNode { found: found.clone(), here: self.name.clone() });
        }
        match &self.running {
            Some(running) if program.generation < running.generation => {
                Err(NotAdmitted::Older { found: program.generation, running: running.generation })
            }
            Some(running) if program.generation == running.generation => {
                if running.content == program.content {
                    Ok(false)
                } else {
                    Err(NotAdmitted::Contradicts(program.generation))
                }
            }
            _ => Ok(true),
        }
    }

    /// Keeps a program on disk; a disk may take its time.
    pub(crate) fn keep(&self, program: &Program) -> Result<(), StateError> {
        self.state.keep(program)
    }

    /// It runs now.
    pub(crate) fn runs(&mut self, program: Program) {
        self.running = Some(program);
    }

    /// What came of a program that was to be run; either is part of the next report.
    pub(crate) fn came_of<E: Error + 'static>(&mut self, generation: Generation, result: Result<(), E>) {
        match result {
            Ok(()) => {
                self.refused = None;
                tracing::info!(%generation, "runs a program");
            }
            Err(error) => self.refuse(generation, &error),
        }
    }

    /// Notes a program that is not run.
    pub(crate) fn refuse(&mut self, generation: Generation, why: &(dyn Error + 'static)) {
        let reason = in_full(why);
        tracing::warn!(%generation, reason, "a program is refused");
        self.refused = Some((generation, reason));
    }

    /// The node's name.
    pub(crate) const fn name(&self) -> &NodeName {
        &self.name
    }

    /// What runs.
    pub(crate) const fn running(&self) -> Option<&Program> {
        self.running.as_ref()
    }

    /// The last program that was refused, since one was run.
    pub(crate) const fn refused(&self) -> Option<&(Generation, String)> {
        self.refused.as_ref()
    }

    /// Its folder.
    pub(crate) const fn state(&self) -> &StateFolder {
        &self.state
    }
}

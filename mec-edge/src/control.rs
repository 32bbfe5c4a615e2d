//! Takes programs and makes the edge run them; reads back what it runs.
//!
//! The order of an apply: compile whole tables, keep the program on disk, find new next hops, swap the tables in one step, then bring the
//! realms in line. Until the swap, an error leaves everything as it was; after it, the edge starts from this program
//! again, whatever happens.

use aaa_server::Readiness;
use model::program::Program;
use model::{Generation, NodeName, PortName};
use transport_dataplane::{CompileError, Compiler};

use crate::neighbours::KernelPorts;
use crate::realms::Realms;
use crate::state::{StateError, StateFolder};
use crate::told::in_full;
use crate::worker::{Worker, WorkerGone, WorkerReading};

/// The control side of an edge.
#[derive(Debug)]
pub(crate) struct Control {
    name: NodeName,
    ports: Vec<(PortName, &'static str)>,
    compiler: Compiler,
    worker: Worker,
    kernels: KernelPorts,
    state: StateFolder,
    realms: Realms,
    running: Option<Program>,
    refused: Option<(Generation, String)>,
}

/// What a control directs.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) compiler: Compiler,
    pub(crate) worker: Worker,
    pub(crate) kernels: KernelPorts,
    pub(crate) state: StateFolder,
    pub(crate) realms: Realms,
}

/// What changes whenever what the edge would report changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pulse {
    /// None if the worker has ended.
    worker: Option<transport_dataplane::Pulse>,
    realms: Vec<Readiness>,
    refused: Option<(Generation, String)>,
}

/// Why a program is not run. What ran before goes on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApplyError {
    /// It is another edge's.
    #[error("the program is for {found}, and this is {here}")]
    OtherEdge {
        /// The edge that it is for.
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
    /// This edge can't run it.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// It can't be kept, so it is not run: a restart would fall back to another.
    #[error(transparent)]
    State(#[from] StateError),
    /// Nothing runs any more.
    #[error(transparent)]
    Worker(#[from] WorkerGone),
}

impl Control {
    pub(crate) fn new(name: NodeName, ports: Vec<(PortName, &'static str)>, parts: Parts) -> Self {
        let Parts { compiler, worker, kernels, state, realms } = parts;
        Self { name, ports, compiler, worker, kernels, state, realms, running: None, refused: None }
    }

    /// Starts from the program on disk, if there is one that is whole and this edge's.
    pub(crate) async fn resume(&mut self) {
        let found = match self.state.load() {
            Ok(found) => found,
            Err(error) => return self.refuse(Generation::NONE, &error),
        };
        if let Some(program) = found.program {
            let generation = program.generation;
            let admitted = self.admit(&program);
            let result = if admitted.is_ok() { self.run(program, false).await } else { admitted.map(drop) };
            match result {
                Ok(()) => tracing::info!(%generation, "runs the program that was kept"),
                Err(error) => self.refuse(generation, &error),
            }
        }
        for file in &found.passed_over {
            self.refuse(Generation::NONE, file);
        }
    }

    /// Runs a program, or says why not; either is part of the next report.
    pub(crate) async fn apply(&mut self, program: Program) {
        let generation = program.generation;
        let result = match self.admit(&program) {
            // One that runs already is kept already; it is run anew because somebody wants to be sure of it.
            Ok(is_new) => self.run(program, is_new).await,
            Err(error) => Err(error),
        };
        match result {
            Ok(()) => {
                self.refused = None;
                tracing::info!(%generation, "runs a program");
            }
            Err(error) => self.refuse(generation, &error),
        }
    }

    /// Notes a program that could not even be read.
    pub(crate) fn refuse(&mut self, generation: Generation, why: &dyn std::error::Error) {
        let reason = in_full(why);
        tracing::warn!(%generation, reason, "a program is refused");
        self.refused = Some((generation, reason));
    }

    /// May it be run? If so: is it another than what runs?
    fn admit(&self, program: &Program) -> Result<bool, ApplyError> {
        let found = &program.content.edge;
        if *found != self.name {
            return Err(ApplyError::OtherEdge { found: found.clone(), here: self.name.clone() });
        }
        match &self.running {
            Some(running) if program.generation < running.generation => {
                Err(ApplyError::Older { found: program.generation, running: running.generation })
            }
            Some(running) if program.generation == running.generation => {
                if running.content == program.content {
                    Ok(false)
                } else {
                    Err(ApplyError::Contradicts(program.generation))
                }
            }
            _ => Ok(true),
        }
    }

    async fn run(&mut self, program: Program, keep: bool) -> Result<(), ApplyError> {
        // Numbers are handed out in a copy, so that a program that can't be kept leaves no trace.
        let mut compiler = self.compiler.clone();
        let mut tables = compiler.compile(&program, self.worker.now())?;
        if keep {
            let state = self.state.clone();
            let kept = program.clone();
            // A disk may take its time; the realms and the agent go on meanwhile.
            let written = tokio::task::spawn_blocking(move || state.keep(&kept)).await;
            written.unwrap_or_else(|fault| std::panic::resume_unwind(fault.into_panic()))?;
        }
        let needed = self.kernels.needed(&tables);
        self.kernels.find(&tables).await;
        if self.running.is_some() {
            // What runs goes on until the way of what is to run is known.
            tables = self.worker.introduce(tables).await?;
        }
        self.worker.swap(tables).await?;
        self.kernels.keep(needed).await;
        self.compiler = compiler;
        self.realms.follow(&program.content, &self.compiler, &self.state).await;
        self.running = Some(program);
        Ok(())
    }

    /// The edge's name.
    pub(crate) const fn name(&self) -> &NodeName {
        &self.name
    }

    /// The ports and their drivers.
    pub(crate) fn ports(&self) -> &[(PortName, &'static str)] {
        &self.ports
    }

    /// The realms.
    pub(crate) const fn realms(&self) -> &Realms {
        &self.realms
    }

    /// The last program that was refused, since one was run.
    pub(crate) fn refused(&self) -> Option<&(Generation, String)> {
        self.refused.as_ref()
    }

    /// The worker.
    pub(crate) const fn worker(&self) -> &Worker {
        &self.worker
    }

    /// What the dataplane runs and has counted.
    pub(crate) async fn read(&self) -> Result<Box<WorkerReading>, WorkerGone> {
        self.worker.read().await
    }

    /// By what it is seen whether [`report::realised`](crate::report::realised) would say something else than before.
    pub(crate) async fn pulse(&self) -> Pulse {
        Pulse { worker: self.worker.pulse().await.ok(), realms: self.realms.states(), refused: self.refused().cloned() }
    }

    /// Ends the realms; their sessions are unbound.
    pub(crate) async fn stop(&mut self) {
        self.realms.stop().await;
    }
}

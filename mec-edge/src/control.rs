//! Takes programs and makes the edge run them; reads back what it runs.
//!
//! The order of an apply: compile whole tables, keep the program on disk, find new next hops, swap the tables in one step,
//! then bring the realms in line. Until the swap, an error leaves everything as it was; after it, the edge starts from this
//! program again, whatever happens.

use std::borrow::Cow;

use aaa_server::Readiness;
use api::{ConvertError, v1};
use model::program::Program;
use model::resource::SegmentId;
use model::{Generation, NodeName, PortName};
use transport_dataplane::{CompileError, Compiler};

use crate::neighbours::KernelPorts;
use crate::node::{self, Node};
use crate::programs::{NotAdmitted, Programs};
use crate::realms::Realms;
use crate::report;
use crate::state::{StateError, StateFolder};
use crate::worker::{WorkerGone, Workers, WorkersReading};

/// The control side of an edge.
#[derive(Debug)]
pub(crate) struct Control {
    site: Site,
    compiler: Compiler,
    kernels: KernelPorts,
    programs: Programs,
    realms: Realms,
}

/// Who the edge is, and where its packets are: what it takes to tell what its dataplane does.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    pub(crate) name: NodeName,
    /// Each with its driver.
    pub(crate) ports: Vec<(PortName, Cow<'static, str>)>,
    pub(crate) workers: Workers,
}

/// What a control directs.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) compiler: Compiler,
    pub(crate) kernels: KernelPorts,
    pub(crate) state: StateFolder,
    pub(crate) realms: Realms,
}

/// What changes whenever what the edge would report changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pulse {
    /// None if the worker has ended.
    workers: Option<transport_dataplane::Pulse>,
    realms: Vec<Readiness>,
    refused: Option<(Generation, String)>,
}

/// Why a program is not run. What ran before goes on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApplyError {
    /// It is not for this edge, or not for now.
    #[error(transparent)]
    NotAdmitted(#[from] NotAdmitted),
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
    pub(crate) fn new(site: Site, parts: Parts) -> Self {
        let Parts { compiler, kernels, state, realms } = parts;
        let programs = Programs::new(site.name.clone(), state);
        Self { site, compiler, kernels, programs, realms }
    }

    /// Starts from the program on disk, if there is one that is whole and this edge's.
    pub(crate) async fn resume(&mut self) {
        let (program, passed_over) = self.programs.load();
        if let Some(program) = program {
            let generation = program.generation;
            let result = match self.programs.admit(&program) {
                Ok(_) => self.run(program, false).await,
                Err(error) => Err(error.into()),
            };
            self.programs.came_of(generation, result);
        }
        for file in &passed_over {
            self.refuse(Generation::NONE, file);
        }
    }

    fn refuse(&mut self, generation: Generation, why: &(dyn std::error::Error + 'static)) {
        self.programs.refuse(generation, why);
    }

    async fn run(&mut self, program: Program, keep: bool) -> Result<(), ApplyError> {
        // Numbers are handed out in a copy, so that a program that can't be kept leaves no trace.
        let mut compiler = self.compiler.clone();
        let mut tables = compiler.compile(&program, self.site.workers.now())?;
        if keep {
            let state = self.programs.state().clone();
            let kept = program.clone();
            // A disk may take its time; the realms and the agent go on meanwhile.
            let written = tokio::task::spawn_blocking(move || state.keep(&kept)).await;
            written.unwrap_or_else(|fault| std::panic::resume_unwind(fault.into_panic()))?;
        }
        let needed = self.kernels.needed(&tables);
        self.kernels.find(&tables).await;
        if self.programs.running().is_some() {
            // What runs goes on until the way of what is to run is known.
            tables = self.site.workers.introduce(tables).await?;
        }
        self.site.workers.swap(tables).await?;
        self.kernels.keep(needed).await;
        self.compiler = compiler;
        self.realms.follow(&program.content, &self.compiler, self.programs.state()).await;
        self.programs.runs(program);
        Ok(())
    }

    /// Who it is.
    pub(crate) const fn site(&self) -> &Site {
        &self.site
    }

    /// The realms.
    pub(crate) const fn realms(&self) -> &Realms {
        &self.realms
    }

    /// The last program that was refused, since one was run.
    pub(crate) const fn refused(&self) -> Option<&(Generation, String)> {
        self.programs.refused()
    }

    /// What the dataplane runs and has counted.
    pub(crate) async fn read_workers(&self) -> Result<WorkersReading, WorkerGone> {
        self.site.workers.read().await
    }
}

impl Node for Control {
    type Pulse = Pulse;

    fn hello(&self) -> v1::Hello {
        node::hello(&self.site.name, self.site.ports.iter().cloned())
    }

    async fn apply(&mut self, program: Program) {
        let generation = program.generation;
        let result = match self.programs.admit(&program) {
            // One that runs already is kept already; it is run anew because somebody wants to be sure of it.
            Ok(is_new) => self.run(program, is_new).await,
            Err(error) => Err(error.into()),
        };
        self.programs.came_of(generation, result);
    }

    async fn refuse_unread(&mut self, generation: Generation, why: ConvertError) {
        self.refuse(generation, &why);
    }

    async fn pulse(&self) -> Pulse {
        Pulse {
            workers: self.site.workers.pulse().await.ok(),
            realms: self.realms.states(),
            refused: self.refused().cloned(),
        }
    }

    async fn realised(&self) -> v1::Realised {
        report::realised(self).await
    }

    async fn read(&self, kind: v1::ReadKind) -> Result<v1::Reading, String> {
        report::reading(self, kind).await
    }

    async fn watch(&self, segment: SegmentId) {
        // A worker that has gone says so when it is read.
        let _ = self.site.workers.watch(segment).await;
    }

    /// Ends the realms; their sessions are unbound.
    async fn stop(&mut self) {
        self.realms.stop().await;
    }
}

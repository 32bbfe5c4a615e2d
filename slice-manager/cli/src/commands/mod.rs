//! The commands, one file a noun.

mod intent;
mod node;
mod objective;
mod operation;
mod queues;
mod rates;
mod readings;
mod segment;
mod settle;
mod slice;
mod template;
mod top;
mod transport;

use std::io::Write;

use clap::CommandFactory;
use model::{Principal, Role};

use crate::args::{
    AaaCommand, Args, CertificateCommand, Command, DataplaneCommand, NodeCommand, NumberCommand, OpCommand,
    PathCommand, RoleArg, SegmentCommand, SessionCommand, SliceCommand, TemplateCommand, TransportCommand,
};
use crate::client::Manager;
use crate::error::Error;
use crate::{decode, pki};

/// What every command that asks the manager has at hand.
pub(crate) struct Context<'a> {
    pub(crate) manager: Manager,
    pub(crate) form: crate::args::Form,
    /// Is somebody looking at the output while it comes?
    pub(crate) is_terminal: bool,
    pub(crate) out: &'a mut (dyn Write + 'a),
    pub(crate) err: &'a mut (dyn Write + 'a),
}

/// Does what was asked.
pub(crate) async fn run(args: Args, is_terminal: bool, out: &mut dyn Write, err: &mut dyn Write) -> Result<(), Error> {
    let context = Context { manager: Manager::new(&args.global), form: args.global.output, is_terminal, out, err };
    match args.command {
        Command::Init(init) => {
            let folder = init.dir.unwrap_or_else(pki::default_folder);
            pki::init(&folder, &init.manager_name)?;
            let folder = folder.display();
            writeln!(context.out, "{folder}/ca.pem, ca-key.pem   the authority; keep the key to yourself")?;
            writeln!(
                context.out,
                "{folder}/manager/             for the manager, reached as {}",
                init.manager_name.join(", ")
            )?;
            writeln!(context.out, "{folder}/operator/            for you")?;
            Ok(())
        }
        Command::Certificate(CertificateCommand::Issue { role, name, dir, out: to, names, replace }) => {
            let principal = Principal { role: role.into(), name: name.to_string() };
            pki::issue(&dir.unwrap_or_else(pki::default_folder), &principal, &names, &to, replace)?;
            writeln!(context.out, "{}/ ca.pem, certificate.pem, key.pem for {principal}", to.display())?;
            Ok(())
        }
        Command::Completion { shell } => {
            // The generator panics if it can't write.
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Args::command(), "slicectl", &mut script);
            context.out.write_all(&script)?;
            Ok(context.out.flush()?)
        }
        Command::Decode(args) => Ok(decode::run(&args.file, &args.decode_as, context.out)?),
        Command::Apply(args) => intent::apply(context, &args).await,
        Command::Plan(args) => intent::plan(context, &args).await,
        Command::Diff(args) => intent::diff(context, &args).await,
        Command::Delete(args) => intent::delete(context, &args).await,
        Command::Slice(SliceCommand::List) => slice::list(context).await,
        Command::Slice(SliceCommand::Show { name }) => slice::show(context, &name).await,
        Command::Slice(SliceCommand::Explain { name }) => transport::explain(context, &name).await,
        Command::Slice(SliceCommand::Slo(args)) => objective::slo(context, &args).await,
        Command::Segment(SegmentCommand::List { slice }) => segment::list(context, slice.as_ref()).await,
        Command::Segment(SegmentCommand::Show { slice, name }) => segment::show(context, &slice, &name).await,
        Command::Node(NodeCommand::List) => node::list(context).await,
        Command::Node(NodeCommand::Show { name }) => node::show(context, &name).await,
        Command::Op(OpCommand::List { limit }) => operation::list(context, limit).await,
        Command::Op(OpCommand::Show { id }) => operation::show(context, id).await,
        Command::Op(OpCommand::Watch { id }) => operation::watch(context, id).await,
        Command::Aaa(AaaCommand::Session(SessionCommand::List { edge, slice, segment })) => {
            readings::sessions(context, edge.as_ref(), slice.as_ref(), segment.as_ref()).await
        }
        Command::Aaa(AaaCommand::Counters { edge, slice, segment }) => {
            readings::aaa_counters(context, edge.as_ref(), slice.as_ref(), segment.as_ref()).await
        }
        Command::Dataplane(DataplaneCommand::Drops { edge }) => readings::drops(context, edge.as_ref()).await,
        Command::Dataplane(DataplaneCommand::Meters { edge }) => readings::meters(context, edge.as_ref()).await,
        Command::Dataplane(DataplaneCommand::Queues { edge, slice, segment }) => {
            queues::list(context, edge.as_ref(), slice.as_ref(), segment.as_ref()).await
        }
        Command::Dataplane(DataplaneCommand::Top(args)) => top::run(context, &args).await,
        Command::Transport(command) => transport(context, command).await,
        Command::Template(TemplateCommand::List) => template::list(context).await,
        Command::Template(TemplateCommand::Show { name, explain }) => template::show(context, &name, explain).await,
    }
}

async fn transport(context: Context<'_>, command: TransportCommand) -> Result<(), Error> {
    use transport::Kind;
    match command {
        TransportCommand::Path(PathCommand::List { slice, node }) => {
            transport::paths(context, slice.as_ref(), node.as_ref()).await
        }
        TransportCommand::Sid(NumberCommand::List { node }) => {
            transport::numbers(context, Kind::Sid, node.as_ref()).await
        }
        TransportCommand::Label(NumberCommand::List { node }) => {
            transport::numbers(context, Kind::Label, node.as_ref()).await
        }
        TransportCommand::Vni(NumberCommand::List { node }) => {
            transport::numbers(context, Kind::Vni, node.as_ref()).await
        }
        TransportCommand::RouteTarget(NumberCommand::List { node }) => {
            transport::numbers(context, Kind::RouteTarget, node.as_ref()).await
        }
        TransportCommand::Verify { node } => transport::verify(context, node.as_ref()).await,
        TransportCommand::Drift => transport::drift(context).await,
        TransportCommand::Repair { node } => transport::repair(context, node.as_ref()).await,
    }
}

impl From<RoleArg> for Role {
    fn from(role: RoleArg) -> Self {
        match role {
            RoleArg::Manager => Self::Manager,
            RoleArg::Operator => Self::Operator,
            RoleArg::Mano => Self::Mano,
            RoleArg::Edge => Self::Edge,
            RoleArg::Viewer => Self::Viewer,
        }
    }
}

//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use model::operation::OperationId;
use model::resource::ResourceId;
use model::{NodeName, ProfileName, SegmentName, SliceName};
use tonic::transport::Uri;

use crate::decode::DecodeAs;

/// Declares slices and micro-segments, and shows what runs.
///
/// Exit codes: 0 it is so (with --wait: it was observed), 1 refused or failed, 2 wrong command line, 3 manager
/// unreachable, 4 --wait timed out.
#[derive(Debug, Parser)]
#[command(name = "slicectl", version, max_term_width = 110)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Global {
    /// Where the manager is. It is given up if it does not let us in within 5 s or does not answer within 30 s.
    #[arg(
        long,
        global = true,
        env = "MICROSLICE_MANAGER",
        value_name = "URL",
        default_value = "https://localhost:7443",
        value_parser = https
    )]
    pub(crate) manager: Uri,
    /// Folder with ca.pem, certificate.pem and key.pem [default: operator/ in the configuration folder].
    #[arg(long, global = true, env = "MICROSLICE_TLS_DIR", value_name = "DIR")]
    pub(crate) tls_dir: Option<PathBuf>,
    /// Form of the answer; json is the proto3 JSON of the API's message.
    #[arg(short, long, global = true, value_enum, default_value = "table")]
    pub(crate) output: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// For people.
    Table,
    /// For programs.
    Json,
    /// For both.
    Yaml,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a certificate authority, and certificates for the manager and for you.
    Init(InitArgs),
    /// Certificates, from the authority that `init` has made.
    #[command(subcommand)]
    Certificate(CertificateCommand),
    /// Declare what files say; all of it or nothing.
    ///
    /// Answers when the decision is stored. With --wait, prints a line for each edge as it is observed to run it, and
    /// ends when all do.
    #[command(after_help = "Example:\n  slicectl apply -f topology.yaml -f iot.yaml --wait")]
    Apply(ApplyArgs),
    /// Show what `apply` would decide: every number, every edge, what each link has left. Nothing is touched.
    #[command(after_help = "Example:\n  slicectl plan -f iot.yaml")]
    Plan(FilesArgs),
    /// Show how files differ from what is declared.
    Diff(FilesArgs),
    /// Remove what files name, or resources by name, such as slice/iot; all of it or nothing.
    Delete(DeleteArgs),
    /// Slices.
    #[command(subcommand)]
    Slice(SliceCommand),
    /// Micro-segments.
    #[command(subcommand)]
    Segment(SegmentCommand),
    /// Nodes of the topology, and what edges run.
    #[command(subcommand)]
    Node(NodeCommand),
    /// Operations: the record of each change.
    #[command(subcommand)]
    Op(OpCommand),
    /// Authentication, authorisation and accounting.
    #[command(subcommand)]
    Aaa(AaaCommand),
    /// Counters of the packet paths, read when you ask.
    #[command(subcommand)]
    Dataplane(DataplaneCommand),
    /// What crosses the underlay: paths, SIDs, labels, VNIs, and whether nodes run them.
    #[command(subcommand)]
    Transport(TransportCommand),
    /// Templates (NESTs, GSMA NG.116).
    #[command(subcommand)]
    Template(TemplateCommand),
    /// Print the packets of a capture file, a JSON line each, every layer that Microslice knows.
    Decode(DecodeArgs),
    /// Print the completion script of a shell.
    Completion {
        /// The shell.
        shell: Shell,
    },
}

#[derive(Debug, ClapArgs)]
pub(crate) struct InitArgs {
    /// Where to put them [default: the configuration folder, ~/.config/microslice].
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// A name or address by which the manager is reached; may be repeated.
    #[arg(long, value_name = "NAME", default_values = ["localhost", "127.0.0.1", "::1"])]
    pub(crate) manager_name: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CertificateCommand {
    /// Issue a certificate for a role and a name; an edge's name is that of its node.
    #[command(after_help = "Example:\n  slicectl certificate issue edge edge-a --out ./edge-a")]
    Issue {
        /// What its owner may do.
        role: RoleArg,
        /// Whose it is.
        name: NodeName,
        /// The authority's folder [default: the configuration folder].
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
        /// Where to put ca.pem, certificate.pem and key.pem.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// Of a manager: a name or address by which it is reached; may be given several times.
        #[arg(long = "name", value_name = "HOST")]
        names: Vec<String>,
        /// Replace the certificate and the key that are there.
        #[arg(long)]
        replace: bool,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum RoleArg {
    /// Is the manager.
    Manager,
    /// Declares and removes; reads everything.
    Operator,
    /// As an operator, for an NFV MANO stack.
    Mano,
    /// Runs one edge.
    Edge,
    /// Reads.
    Viewer,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct FilesArgs {
    /// A file with resources; may be repeated; `-` is standard input.
    #[arg(short, long = "file", value_name = "FILE", required = true)]
    pub(crate) files: Vec<String>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct WaitArgs {
    /// Wait until every edge is observed to run it.
    #[arg(long)]
    pub(crate) wait: bool,
    /// How long to wait, such as 30s or 5m.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration, requires = "wait")]
    pub(crate) timeout: Duration,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ApplyArgs {
    #[command(flatten)]
    pub(crate) files: FilesArgs,
    #[command(flatten)]
    pub(crate) wait: WaitArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct DeleteArgs {
    /// A file with resources; may be repeated; `-` is standard input.
    #[arg(short, long = "file", value_name = "FILE", required_unless_present = "resources")]
    pub(crate) files: Vec<String>,
    /// Resources by name: slice/NAME, microsegment/SLICE/NAME, realm/SLICE/NAME, topology/NAME.
    #[arg(value_name = "RESOURCE")]
    pub(crate) resources: Vec<ResourceId>,
    #[command(flatten)]
    pub(crate) wait: WaitArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SliceCommand {
    /// All slices, with their state.
    List,
    /// One slice: what it is, which edge runs which generation, and why it is in its state.
    Show {
        /// The slice.
        name: SliceName,
    },
    /// One slice: why it is in its state, and what each of its paths is measured to keep of what it is promised.
    Explain {
        /// The slice.
        name: SliceName,
    },
    /// What slices are promised, beside what is measured of it; fails if an objective is not met.
    ///
    /// Edges are read twice. What the two readings don't tell is not measurable, which is no failure.
    Slo(SloArgs),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct SloArgs {
    /// The slice; all of them if left out.
    pub(crate) name: Option<SliceName>,
    /// From one reading to the other, 100ms to 10s.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = short_interval)]
    pub(crate) over: Duration,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SegmentCommand {
    /// All micro-segments, or those of a slice.
    List {
        /// Of this slice only.
        #[arg(long)]
        slice: Option<SliceName>,
    },
    /// One micro-segment: its numbers, and what each edge reports of it.
    Show {
        /// The slice.
        slice: SliceName,
        /// The micro-segment.
        name: SegmentName,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum NodeCommand {
    /// All nodes.
    List,
    /// One node: its ports, its addresses, what it runs.
    Show {
        /// The node.
        name: NodeName,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum OpCommand {
    /// The newest operations.
    List {
        /// At most this many.
        #[arg(long, default_value_t = 20)]
        limit: u32,
    },
    /// One operation.
    Show {
        /// Such as op-7.
        id: OperationId,
    },
    /// One operation, at each change, until it has ended.
    Watch {
        /// Such as op-7.
        id: OperationId,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum AaaCommand {
    /// Sessions: authenticated endpoints.
    #[command(subcommand)]
    Session(SessionCommand),
    /// What each micro-segment's AAA answered, rejected and dropped, by reason; read from the edges.
    Counters {
        /// On this edge only.
        #[arg(long)]
        edge: Option<NodeName>,
        /// In this slice only.
        #[arg(long)]
        slice: Option<SliceName>,
        /// In micro-segments of this name only.
        #[arg(long)]
        segment: Option<SegmentName>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum SessionCommand {
    /// Sessions, read from the edges.
    List {
        /// On this edge only.
        #[arg(long)]
        edge: Option<NodeName>,
        /// In this slice only.
        #[arg(long)]
        slice: Option<SliceName>,
        /// In micro-segments of this name only.
        #[arg(long)]
        segment: Option<SegmentName>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum DataplaneCommand {
    /// Packets dropped, by port, segment and reason.
    Drops {
        /// On this edge only.
        #[arg(long)]
        edge: Option<NodeName>,
    },
    /// Rate limits, what they let pass, and what becomes of the rest.
    Meters {
        /// On this edge only.
        #[arg(long)]
        edge: Option<NodeName>,
    },
    /// What waits at each port, queue by queue, what was sent, marked and dropped, and how long it waited.
    Queues {
        /// On this edge only.
        #[arg(long)]
        edge: Option<NodeName>,
        /// Of this slice only.
        #[arg(long)]
        slice: Option<SliceName>,
        /// Of micro-segments of this name only. With --slice: from now on it is told how long frames stay in each of its queues.
        #[arg(long)]
        segment: Option<SegmentName>,
    },
    /// What queues do now, the busiest first: rate, what waits, what is marked and dropped, and how long frames stay.
    ///
    /// Ends with Ctrl-C, or after --count. Where the output is no terminal, one table, or message, follows the other.
    #[command(after_help = "Example:\n  slicectl dataplane top --slice iot --every 2s")]
    Top(TopArgs),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct TopArgs {
    /// On this edge only.
    #[arg(long)]
    pub(crate) edge: Option<NodeName>,
    /// Of this slice only.
    #[arg(long)]
    pub(crate) slice: Option<SliceName>,
    /// From one reading to the next, 100ms at least.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = interval)]
    pub(crate) every: Duration,
    /// End after so many.
    #[arg(long)]
    pub(crate) count: Option<u64>,
    /// A row for each class of a micro-segment, or of a whole slice.
    #[arg(long, value_enum, default_value = "segment")]
    pub(crate) by: By,
    /// At most so many queues in a table.
    #[arg(long, value_name = "COUNT", default_value_t = 14)]
    pub(crate) rows: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum By {
    /// Micro-segments.
    Segment,
    /// Slices.
    Slice,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TransportCommand {
    /// Paths between edges.
    #[command(subcommand)]
    Path(PathCommand),
    /// Segment identifiers of SRv6.
    #[command(subcommand)]
    Sid(NumberCommand),
    /// Labels of MPLS.
    #[command(subcommand)]
    Label(NumberCommand),
    /// Network identifiers of VXLAN.
    #[command(subcommand)]
    Vni(NumberCommand),
    /// Route targets.
    #[command(subcommand)]
    RouteTarget(NumberCommand),
    /// Read back what nodes run, now, and compare it with what they should run; fails if anything differs.
    ///
    /// Compared are paths, SIDs, labels, segments and their tunnels (whether they are there), and the generation and
    /// digest of the program.
    Verify {
        /// This node only.
        #[arg(long)]
        node: Option<NodeName>,
    },
    /// What last reports say that differs from what nodes should run, and since when; fails if anything does.
    ///
    /// It tells from what nodes reported last and reads nobody; `verify` does.
    Drift,
    /// Have nodes run anew what they should, and read it back; fails if anything still differs.
    ///
    /// A node that has not said what it runs, or runs what was never decided here, is not repaired, and named.
    Repair {
        /// This node only.
        #[arg(long)]
        node: Option<NodeName>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum PathCommand {
    /// Paths as they are planned, who takes them, and what their edges measure.
    List {
        /// Those that this slice takes.
        #[arg(long)]
        slice: Option<SliceName>,
        /// Those that begin or end at this node.
        #[arg(long)]
        node: Option<NodeName>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum NumberCommand {
    /// Those in use, and those that nobody may have yet.
    List {
        /// Of this node only.
        #[arg(long)]
        node: Option<NodeName>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum TemplateCommand {
    /// All templates.
    List,
    /// One template.
    Show {
        /// The template.
        name: ProfileName,
        /// Line by line: which attribute became which rate, class or limit, by which rule.
        #[arg(long)]
        explain: bool,
    },
}

#[derive(Debug, ClapArgs)]
pub(crate) struct DecodeArgs {
    /// A pcap or pcapng file.
    pub(crate) file: PathBuf,
    /// Read a UDP port as radius, vxlan, mpls or gtp: udp.port==PORT,PROTOCOL; may be repeated.
    #[arg(long, value_name = "RULE")]
    pub(crate) decode_as: Vec<DecodeAs>,
}

/// An address to which nothing is ever sent in the clear.
fn https(text: &str) -> Result<Uri, String> {
    let uri = text.parse::<Uri>().ok();
    let uri = uri.filter(|uri| uri.scheme_str() == Some("https") && uri.host().is_some_and(|host| !host.is_empty()));
    uri.ok_or_else(|| format!("`{text}` is not the address of a manager; expected https://HOST:PORT"))
}

/// A time that does not keep edges busy with answering.
fn interval(text: &str) -> Result<Duration, String> {
    let interval = duration(text)?;
    if interval < Duration::from_millis(100) { Err(format!("`{text}`: expected at least 100ms")) } else { Ok(interval) }
}

/// One that somebody waits for.
fn short_interval(text: &str) -> Result<Duration, String> {
    let fits = interval(text).is_ok_and(|interval| interval <= Duration::from_secs(10));
    if fits { duration(text) } else { Err(format!("`{text}`: expected 100ms to 10s")) }
}

/// `30s`, `5m`, `500ms`.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a time; expected a number with ms, s or m, such as 30s");
    let at = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let number: u64 = text[..at].parse().map_err(|_| wrong())?;
    match &text[at..] {
        "ms" => Ok(Duration::from_millis(number)),
        "s" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(number.saturating_mul(60))),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_contradicts_itself_nowhere() {
        Args::command().debug_assert();
    }

    #[test]
    fn times_have_a_unit() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("5m"), Ok(Duration::from_mins(5)));
        for wrong in ["", "5", "s", "-1s", "5h"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}

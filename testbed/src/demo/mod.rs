//! The demo: the whole product on the reference world, each step printed as it happens, each claim checked.

pub mod cast;
mod checks;
mod inside;
pub mod lab;
mod material;
mod namespaces;
mod script;

use std::path::PathBuf;
use std::process::ExitCode;

use checks::Report;
use inside::Inside;
use lab::{Lab, LabError};
use material::Material;
use namespaces::Namespaces;

/// What was asked for.
#[derive(Debug, Default)]
pub struct Options {
    /// In namespaces.
    pub netns: bool,
    /// Where the checks are written.
    pub report: Option<PathBuf>,
    /// Where the capture is written.
    pub pcap: Option<PathBuf>,
}

/// Runs the demo; success only if every claim held.
pub fn run(options: &Options) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&LabError::new(error)),
    };
    start_log();
    let mut report = Report::default();
    let play = async {
        if options.netns {
            if !crate::netns::available() {
                return Err(LabError::new("--netns needs root, and `ip` of iproute2"));
            }
            let material = Material::new(&["192.0.2.1"], |number| format!("192.0.2.{number}/32"), false)?;
            let mut lab = Namespaces::new(material)?;
            if options.pcap.is_some() {
                lab.start_capture()?;
            }
            play(lab, &mut report, options).await
        } else {
            let material =
                Material::new(&["127.0.0.1"], |number| format!("{}/32", inside::switch_address(number)), true)?;
            let lab = Inside::new(material, options.pcap.clone()).await?;
            play(lab, &mut report, options).await
        }
    };
    // What was made goes with the future: namespaces, processes, keys.
    let played = runtime.block_on(async {
        tokio::select! {
            played = play => played,
            () = interrupted() => Err(LabError::new("interrupted")),
        }
    });
    let held = report.finish();
    let written = options.report.as_ref().map_or(Ok(()), |file| report.write(file));
    match (played, written) {
        (Err(error), _) => fail(&error),
        (_, Err(error)) => fail(&LabError::new(format!("the report can't be written: {error}"))),
        _ if held => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// Somebody wants it to end.
async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    match (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) {
        (Ok(mut interrupt), Ok(mut terminate)) => {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        }
        _ => std::future::pending().await,
    }
}

async fn play<L: Lab>(mut lab: L, report: &mut Report, options: &Options) -> Result<(), LabError> {
    let seed = lab.seed();
    let played = script::play(&mut lab, report, seed).await;
    if played.is_err() {
        report.keep(lab.files());
    }
    let ended = lab.finish().await;
    played?;
    ended?;
    if let Some(file) = &options.pcap {
        let frames = lab.capture(file).await?;
        report.figure("frames captured in the core", frames);
    }
    Ok(())
}

fn fail(error: &LabError) -> ExitCode {
    eprintln!("\nThe demo could not go on: {error}");
    ExitCode::FAILURE
}

/// Warnings go to the error output, unless RUST_LOG asks for more.
fn start_log() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("error"));
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
}

//! Words: the command line. Parses it, hands the work to `app` (serving, loading), [`whoami`] and
//! `demo`, and turns what comes back into text and an exit code: 0 good, 1 the input has problems, 2 wrong
//! usage.

mod args;
mod check;
mod demo;
mod explain;
pub mod settings;
mod tone;

use crate::model::settings::Settings;
use crate::telemetry::process::{COMMIT, VERSION};
use crate::{app, telemetry, whoami};
use args::{Cli, Command};
use clap::{ArgMatches, FromArgMatches};
use settings::UsageError;
use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

/// The input has problems, or the work could not be done.
const PROBLEMS: u8 = 1;
/// Wrong usage.
const USAGE: u8 = 2;

/// Runs one command line.
pub fn run(
    args: impl IntoIterator<Item = OsString>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> ExitCode {
    let parsed = args::command()
        .try_get_matches_from(args)
        .and_then(|matches| Cli::from_arg_matches(&matches).map(|cli| (cli, matches)));
    let result = match parsed {
        Ok((cli, matches)) => dispatch(cli.command, &matches, environment.into_iter().collect()),
        Err(error) => {
            let _unwritable = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(USAGE));
        }
    };
    match result {
        Ok(code) => code,
        Err(Failure::Usage(errors)) => {
            for error in errors {
                say(&mut io::stderr(), &format!("error: {error}\n"));
            }
            ExitCode::from(USAGE)
        }
        Err(Failure::Work(error)) => {
            say(&mut io::stderr(), &format!("error: {error:#}\n"));
            ExitCode::from(PROBLEMS)
        }
    }
}

/// Why a command did not come to its end.
enum Failure {
    /// Exit code 2.
    Usage(Vec<UsageError>),
    /// Exit code 1.
    Work(anyhow::Error),
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Work(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Work(error.into())
    }
}

type Environment = Vec<(OsString, OsString)>;

fn dispatch(command: Command, matches: &ArgMatches, environment: Environment) -> Result<ExitCode, Failure> {
    // Flags of settings are read from the matches by name, together with environment and file.
    let flags = matches.subcommand().map_or(matches, |(_, flags)| flags);
    let gather = |defaults| settings::gather(flags, environment, defaults).map_err(Failure::Usage);
    match command {
        Command::Serve(_) => {
            let settings = gather(Settings::default())?;
            needs_a_source(&settings)?;
            telemetry::log::init(settings.log_level);
            app::serve(settings)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Check(args) => {
            let settings = gather(Settings::default())?;
            needs_manifests(&settings)?;
            let problems = app::check(&settings)?;
            say(&mut io::stdout(), &check::text(&problems, args.format, tone::of_stdout()));
            Ok(code(problems.is_empty()))
        }
        Command::Explain(args) => {
            let settings = gather(Settings::default())?;
            needs_manifests(&settings)?;
            let report = app::explain(&settings, &args.url)?;
            say(&mut io::stdout(), &explain::text(&report, args.format, tone::of_stdout()));
            Ok(code(report.route.is_some()))
        }
        Command::Demo(_) => {
            let settings = gather(demo::defaults())?;
            telemetry::log::init(settings.log_level);
            demo::run(settings)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Whoami(args) => {
            whoami::run(args.listen, &args.name)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Version => {
            say(&mut io::stdout(), &format!("moongate {VERSION} ({COMMIT})\n"));
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn needs_a_source(settings: &Settings) -> Result<(), Failure> {
    let text = match (settings.sources.manifests.is_empty(), &settings.sources.to) {
        (true, None) => {
            "say where routes come from: --manifests DIR, or --to HOST:PORT for one upstream behind everything"
        }
        (false, Some(_)) => "--to is one route for everything, so there cannot be --manifests beside it",
        _ => return Ok(()),
    };
    Err(Failure::Usage(vec![UsageError { place: String::new(), value: None, text: text.into() }]))
}

fn needs_manifests(settings: &Settings) -> Result<(), Failure> {
    if settings.sources.manifests.is_empty() && settings.sources.to.is_none() {
        let text = "say which manifests: --manifests DIR or FILE";
        return Err(Failure::Usage(vec![UsageError {
            place: String::new(),
            value: None,
            text: text.into(),
        }]));
    }
    Ok(())
}

fn code(good: bool) -> ExitCode {
    if good { ExitCode::SUCCESS } else { ExitCode::from(PROBLEMS) }
}

/// A reader that went away (`| head`) is no failure of ours.
fn say(place: &mut impl Write, text: &str) {
    let _reader_is_gone = place.write_all(text.as_bytes()).and_then(|()| place.flush());
}

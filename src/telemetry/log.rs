//! The process's own log: structured text on standard error, with colour only on a terminal.

use crate::model::settings::LogLevel;
use std::io::IsTerminal;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Starts logging; a second call changes nothing. Our own modules speak at `level`, libraries only from
/// warnings up unless everything is asked for.
pub fn init(level: LogLevel) {
    let text = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    let _already_on = tracing_subscriber::registry().with(filter(level)).with(text).try_init();
}

fn filter(level: LogLevel) -> Targets {
    let ours = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let theirs = if level == LogLevel::Trace { ours } else { ours.min(LevelFilter::WARN) };
    Targets::new().with_default(theirs).with_target("moongate", ours)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    #[test]
    fn libraries_stay_quiet_unless_everything_is_asked_for() {
        for (level, target, said, wanted) in [
            (LogLevel::Info, "moongate::control", Level::INFO, true),
            (LogLevel::Info, "moongate::control", Level::DEBUG, false),
            (LogLevel::Debug, "moongate::proxy", Level::DEBUG, true),
            (LogLevel::Debug, "notify", Level::DEBUG, false),
            (LogLevel::Debug, "notify", Level::WARN, true),
            (LogLevel::Error, "notify", Level::WARN, false),
            (LogLevel::Trace, "notify", Level::TRACE, true),
        ] {
            assert_eq!(filter(level).would_enable(target, &said), wanted, "{level:?} {target} {said}");
        }
    }
}

//! About the process itself.

/// The version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit it was built from: whoever builds a release sets `MOONGATE_COMMIT`.
pub const COMMIT: &str = match option_env!("MOONGATE_COMMIT") {
    Some(commit) => commit,
    None => "unknown",
};

/// Resident memory, where the system says it.
pub fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_takes_memory() {
        assert!(resident_bytes().is_some_and(|bytes| bytes > 100_000));
    }
}

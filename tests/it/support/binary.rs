//! The binary itself, for what only a process shows: signals, exit codes, standard output.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// How long the process may take to say or do what it will.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running `moongate serve`, killed with the test.
pub struct Binary {
    child: Child,
    /// Lines of its own log.
    said: Receiver<String>,
    /// Where clients come in.
    pub address: SocketAddr,
    /// The admin address.
    pub admin: SocketAddr,
}

impl Binary {
    /// `moongate serve` with one worker on free ports of loopback; returns when it listens.
    pub fn serve(args: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_moongate"))
            .args(["serve", "--entrypoint", "http=127.0.0.1:0", "--admin", "127.0.0.1:0", "--workers", "1"])
            .args(args)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (tell, said) = channel();
        std::thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| tell.send(line)));
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut binary = Self { child, said, address: nowhere, admin: nowhere };
        binary.address = address_of(&binary.says("listening entrypoint=http"));
        binary.admin = address_of(&binary.says("admin API and dashboard"));
        binary
    }

    /// Waits for a line of its log that has `part`.
    pub fn says(&self, part: &str) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.said.recv_timeout(left) {
                Ok(line) if line.contains(part) => return line,
                Ok(_) => {}
                Err(error) => panic!("it never says '{part}': {error}"),
            }
        }
    }

    /// Sends a signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal).unwrap();
    }

    /// What it writes to standard output.
    pub fn stdout(&mut self) -> BufReader<ChildStdout> {
        BufReader::new(self.child.stdout.take().unwrap())
    }

    /// Waits for its end.
    pub fn end(&mut self) -> ExitStatus {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < end, "it does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// SIGTERM, its end, and all that it had written to standard output.
    pub fn finish(mut self) -> String {
        let mut stdout = self.stdout();
        self.signal(rustix::process::Signal::TERM);
        let mut text = String::new();
        stdout.read_to_string(&mut text).unwrap();
        assert_eq!(self.end().code(), Some(0));
        text
    }
}

impl Drop for Binary {
    fn drop(&mut self) {
        // It may have ended already.
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn address_of(line: &str) -> SocketAddr {
    let (_, address) = line.split_once("address=").unwrap();
    address.trim().parse().unwrap()
}

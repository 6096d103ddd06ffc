//! What the operating system says of this process.

/// Bytes of memory and seconds of CPU. What the system does not tell is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Process {
    /// Bytes in memory now.
    pub resident: Option<u64>,
    /// Most bytes in memory so far.
    pub peak: Option<u64>,
    /// Seconds of CPU, user and system together.
    pub cpu_seconds: Option<f64>,
}

/// Ticks a second in `/proc/self/stat`: `USER_HZ`, which Linux keeps at this value for programs whatever it uses itself.
const TICKS: f64 = 100.0;

impl Process {
    /// As it is now.
    pub fn now() -> Process {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        Process::parse(&read("/proc/self/status"), &read("/proc/self/stat"))
    }

    fn parse(status: &str, stat: &str) -> Process {
        let kilobytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            let number: u64 = line.split_whitespace().next()?.parse().ok()?;
            Some(number * 1024)
        };
        // The program's name, in brackets, may hold blanks: count from behind it. utime and stime are fields 14 and 15.
        let ticks = || {
            let mut rest = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
            let user: u64 = rest.next()?.parse().ok()?;
            let system: u64 = rest.next()?.parse().ok()?;
            Some((user + system) as f64)
        };
        Process {
            resident: kilobytes("VmRSS:"),
            peak: kilobytes("VmHWM:"),
            cpu_seconds: ticks().map(|ticks| ticks / TICKS),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_linux_writes() {
        let status = "Name:\tordain\nVmHWM:\t    9000 kB\nVmRSS:\t    8000 kB\n";
        let stat = "7 (or) dain) S 1 7 7 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 5 0 100 0 0";
        assert_eq!(
            Process::parse(status, stat),
            Process {
                resident: Some(8_192_000),
                peak: Some(9_216_000),
                cpu_seconds: Some(3.0),
            }
        );
        assert_eq!(Process::parse("", ""), Process::default());
        assert!(Process::now().resident > Some(1 << 20), "this is Linux");
    }
}

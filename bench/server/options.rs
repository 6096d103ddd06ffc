//! What is asked for on the command line.

use crate::participants::Who;
use crate::process::number;
use std::process::{Command, Stdio};

pub struct Options {
    /// How often each participant has its turn.
    pub rounds: usize,
    peers: bool,
    only: Option<String>,
    /// How many ConfigMaps, where it is not what the scenario takes.
    pub maps: Option<usize>,
}

impl Options {
    pub fn read(args: &[String]) -> Options {
        let text = |name: &str| args.iter().skip_while(|a| *a != name).nth(1).cloned();
        Options {
            rounds: number(args, "--rounds", 2),
            peers: args.iter().any(|a| a == "--peers"),
            only: text("--only"),
            maps: text("--maps").map(|n| n.parse().unwrap()),
        }
    }

    /// The interpreter of the Python peers; empty if they do not take part.
    pub fn python(&self) -> String {
        if !self.peers {
            return String::new();
        }
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/bench/peers/install.sh");
        let output = Command::new("sh")
            .arg(script)
            .stderr(Stdio::inherit())
            .output()
            .unwrap();
        assert!(output.status.success(), "the peers could not be installed");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Those of a scenario that are to take part, in the order of a round. Every other round goes the other way round: what a server has done
    /// already slows it down, and who always came first would look the better for it.
    pub fn participants(&self, all: &[Who], round: usize) -> Vec<Who> {
        let mut taking = self.taking_part(all);
        if round.is_multiple_of(2) {
            taking.reverse();
        }
        taking
    }

    fn taking_part(&self, all: &[Who]) -> Vec<Who> {
        let wanted = |who: &Who| {
            let names = self
                .only
                .as_ref()
                .map(|only| only.split(',').map(str::to_owned));
            names.is_none_or(|mut names| names.any(|name| name == who.name()))
        };
        let all = all.iter().copied();
        all.filter(|who| self.peers || !who.needs_python())
            .filter(wanted)
            .collect()
    }
}

//! The text format that Prometheus reads, version 0.0.4.

use crate::engine::counts::{BOUNDS, Histogram};
use std::fmt::Write;
use std::sync::Arc;

/// What kind of numbers a family holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, but for a restart or a rule that went.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Durations in seconds.
    Histogram,
}

/// All series of one name.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// As Prometheus names it.
    pub name: &'static str,
    /// Type.
    pub kind: Kind,
    /// Names of its labels.
    pub labels: &'static [&'static str],
    /// One sentence for people.
    pub help: &'static str,
}

impl Kind {
    /// As in the format.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }
}

/// A page under way.
#[derive(Default)]
pub struct Page {
    text: String,
    last: String,
}

/// A family that a rule makes.
pub struct Made<'m> {
    /// As Prometheus names it.
    pub name: &'m str,
    /// Type.
    pub kind: Kind,
    /// Names of its labels.
    pub labels: &'m [Arc<str>],
    /// For people.
    pub help: &'m str,
}

impl Page {
    /// The finished page.
    pub fn finish(self) -> String {
        self.text
    }

    /// The head of a family, before its first series.
    fn begin(&mut self, family: &Family) {
        self.head(family.name, family.kind, family.help);
    }

    fn head(&mut self, name: &str, kind: Kind, help: &str) {
        if self.last != name {
            self.last.clear();
            self.last.push_str(name);
            let help = help.replace('\\', "\\\\").replace(['\n', '\r'], " ");
            let _ = writeln!(self.text, "# HELP {name} {help}");
            let _ = writeln!(self.text, "# TYPE {name} {}", kind.as_str());
        }
    }

    /// One number of a family that a rule makes; `values` of its labels, in their order.
    pub fn made(&mut self, family: &Made<'_>, values: &[Box<str>], value: f64) {
        self.head(family.name, family.kind, family.help);
        let names = family.labels.iter().map(|name| &**name);
        let pairs = names.zip(values.iter().map(|value| &**value));
        let labels: Vec<(&str, &str)> = pairs.collect();
        self.series((family.name, ""), &labels, value);
    }

    fn series(&mut self, name: (&str, &str), labels: &[(&str, &str)], value: f64) {
        let (name, suffix) = name;
        self.text.push_str(name);
        self.text.push_str(suffix);
        let mut before = '{';
        for (label, value) in labels {
            self.text.push(before);
            before = ',';
            self.text.push_str(label);
            self.text.push_str("=\"");
            for c in value.chars() {
                match c {
                    '\\' => self.text.push_str("\\\\"),
                    '"' => self.text.push_str("\\\""),
                    '\n' => self.text.push_str("\\n"),
                    c => self.text.push(c),
                }
            }
            self.text.push('"');
        }
        if before == ',' {
            self.text.push('}');
        }
        // Of whole numbers `Display` writes no fraction and no exponent; `+Inf` never occurs as a value.
        let _ = writeln!(self.text, " {value}");
    }

    /// One number; `values` of the family's labels, in their order.
    pub fn number(&mut self, family: &Family, values: &[&str], value: f64) {
        self.begin(family);
        let pairs = family.labels.iter().copied().zip(values.iter().copied());
        let labels: Vec<(&str, &str)> = pairs.collect();
        self.series((family.name, ""), &labels, value);
    }

    /// One histogram.
    pub fn histogram(&mut self, family: &Family, values: &[&str], histogram: &Histogram) {
        self.begin(family);
        let pairs = family.labels.iter().copied().zip(values.iter().copied());
        let labels: Vec<(&str, &str)> = pairs.collect();
        let mut so_far = 0;
        for (at, n) in histogram.buckets.iter().enumerate() {
            so_far += n;
            let bound = BOUNDS.get(at).map_or("+Inf".to_owned(), f64::to_string);
            let mut labels = labels.clone();
            labels.push(("le", &bound));
            self.series((family.name, "_bucket"), &labels, so_far as f64);
        }
        self.series((family.name, "_sum"), &labels, histogram.sum);
        self.series((family.name, "_count"), &labels, so_far as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn heads_come_once_and_values_are_escaped() {
        let family = Family {
            name: "x_total",
            kind: Kind::Counter,
            labels: &["a", "b"],
            help: "Help",
        };
        let mut page = Page::default();
        page.number(&family, &["1", "q\"\\\n"], 3.0);
        page.number(&family, &["2", ""], 1e21);
        assert_eq!(
            page.finish(),
            "# HELP x_total Help\n# TYPE x_total counter\nx_total{a=\"1\",b=\"q\\\"\\\\\\n\"} 3\nx_total{a=\"2\",b=\"\"} 1000000000000000000000\n"
        );
    }

    #[test]
    fn buckets_add_up() {
        let family = Family {
            name: "x_seconds",
            kind: Kind::Histogram,
            labels: &["verb"],
            help: "Help",
        };
        let mut histogram = Histogram::default();
        for millis in [1, 3, 60_000] {
            histogram.add(Duration::from_millis(millis));
        }
        let mut page = Page::default();
        page.histogram(&family, &["patch"], &histogram);
        let text = page.finish();
        for line in [
            "x_seconds_bucket{verb=\"patch\",le=\"0.001\"} 1",
            "x_seconds_bucket{verb=\"patch\",le=\"0.004\"} 2",
            "x_seconds_bucket{verb=\"patch\",le=\"16.384\"} 2",
            "x_seconds_bucket{verb=\"patch\",le=\"+Inf\"} 3",
            "x_seconds_sum{verb=\"patch\"} 60.004",
            "x_seconds_count{verb=\"patch\"} 3",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}: {text}");
        }
    }
}

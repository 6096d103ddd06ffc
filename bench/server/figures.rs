//! How what was measured is told: medians, and ratios to those of a peer.

use crate::participants::Who;

/// The value below which this share of the sorted values lies.
pub fn share(sorted: &[f64], share: f64) -> f64 {
    sorted[((sorted.len() as f64 * share) as usize).min(sorted.len() - 1)]
}

/// The middle one, of an even number what lies between the two in the middle; not a number where there is none.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n => (values[(n - 1) / 2] + values[n / 2]) / 2.0,
    }
}

/// Prints the medians of each participant, and their ratio to those of `to`.
pub fn ratios(measured: &[(Who, Vec<f64>)], columns: &[&str], to: Who) {
    println!();
    let of = |who: Who, column: usize| {
        let values = measured.iter().filter(|(w, _)| *w == who);
        median(values.map(|(_, values)| values[column]).collect())
    };
    let mut told = vec![];
    for (who, _) in measured {
        if told.contains(who) {
            continue;
        }
        told.push(*who);
        let texts: Vec<String> = columns
            .iter()
            .enumerate()
            .map(|(column, name)| {
                let (mine, other) = (of(*who, column), of(to, column));
                format!("{name} {mine:.2} ({:.2} of {})", mine / other, to.name())
            })
            .collect();
        println!("{}: {}", who.name(), texts.join(", "));
    }
}

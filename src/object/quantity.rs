//! Kubernetes resource quantities (`500Mi`, `0.1`, `2k`, `1e3`), compared exactly.
//!
//! Reads and writes what `k8s.io/apimachinery/pkg/api/resource` does, with two differences: text without any digit (`k`, `+`) is refused
//! where upstream reads zero, and amounts beyond ±1.7e29 are refused where upstream goes on with big numbers.

use std::fmt::Write;

/// A parsed quantity. Ordering and equality are by amount, never by text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quantity(pub(crate) i128);

/// Which family of suffixes a quantity was written with; sums and differences are printed in that of the left one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `n u m k M G T P E`, or no suffix.
    DecimalSi,
    /// `Ki Mi Gi Ti Pi Ei`.
    BinarySi,
    /// `e3`, `E-3`.
    DecimalExponent,
}

/// Nano units in one.
const ONE: i128 = 1_000_000_000;
/// Upstream caps quantities with a binary suffix at `i64::MAX`.
const BINARY_CAP: i128 = i64::MAX as i128 * ONE;
/// Longer text is refused before anything is computed; no quantity needs it.
const LONGEST: usize = 256;

/// What a suffix multiplies by.
enum Scale {
    Ten(i64),
    Two(u32),
}

fn suffix(text: &str) -> Option<(Scale, Format)> {
    let decimal = |exponent| Some((Scale::Ten(exponent), Format::DecimalSi));
    let binary = |exponent| Some((Scale::Two(exponent), Format::BinarySi));
    match text {
        "n" => decimal(-9),
        "u" => decimal(-6),
        "m" => decimal(-3),
        "" => decimal(0),
        "k" => decimal(3),
        "M" => decimal(6),
        "G" => decimal(9),
        "T" => decimal(12),
        "P" => decimal(15),
        "E" => decimal(18),
        "Ki" => binary(10),
        "Mi" => binary(20),
        "Gi" => binary(30),
        "Ti" => binary(40),
        "Pi" => binary(50),
        "Ei" => binary(60),
        _ => {
            let exponent = text.strip_prefix(['e', 'E'])?;
            let exponent: i32 = exponent.parse().ok()?;
            Some((Scale::Ten(exponent.into()), Format::DecimalExponent))
        }
    }
}

impl Quantity {
    /// Nano units, as apimachinery rounds them: away from zero. Errors carry a sentence for people.
    ///
    /// # Errors
    /// Text that is no quantity, or an amount beyond ±1.7e29.
    pub fn parse(text: &str) -> Result<Self, String> {
        Self::parse_with_format(text).map(|(quantity, _)| quantity)
    }

    /// As [`Quantity::parse`], with the family of its suffix.
    ///
    /// # Errors
    /// As [`Quantity::parse`].
    pub fn parse_with_format(text: &str) -> Result<(Self, Format), String> {
        if text.len() > LONGEST {
            return Err(format!("a quantity has at most {LONGEST} characters"));
        }
        let wrong = || format!("{text:?} is no quantity; write for example `500Mi`, `0.5` or `2k`");
        let (negative, rest) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        let digits_of = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
        let (whole, rest) = rest.split_at(digits_of(rest));
        let (fraction, rest) = match rest.strip_prefix('.') {
            Some(rest) => rest.split_at(digits_of(rest)),
            None => ("", rest),
        };
        if whole.is_empty() && fraction.is_empty() {
            return Err(wrong());
        }
        let (scale, format) = suffix(rest).ok_or_else(|| {
            if rest.is_empty() || rest.contains(|c: char| c.is_ascii_digit() || c == '.') {
                wrong()
            } else {
                format!("{text:?} is no quantity: there is no suffix {rest:?} (Ki Mi Gi Ti Pi Ei, n u m k M G T P E, or an exponent such as e3)")
            }
        })?;
        let nano = match scale {
            Scale::Ten(exponent) => {
                let digits = format!("{whole}{fraction}");
                decimal_nano(&digits, 9 + exponent - fraction.len() as i64)
            }
            Scale::Two(exponent) => Some(
                binary_nano(whole, fraction, exponent)
                    .unwrap_or(i128::MAX)
                    .min(BINARY_CAP),
            ),
        }
        .ok_or_else(|| format!("{text:?} is too large for a quantity"))?;
        Ok((Self(if negative { -nano } else { nano }), format))
    }

    /// A whole number.
    pub fn from_i64(n: i64) -> Self {
        Self(i128::from(n) * ONE)
    }

    /// The sum.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The difference.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// The amount, if it is whole and fits an i64.
    pub fn as_i64(self) -> Option<i64> {
        (self.0 % ONE == 0)
            .then(|| i64::try_from(self.0 / ONE).ok())
            .flatten()
    }

    /// The nearest float.
    pub fn as_f64(self) -> f64 {
        if self.0 % ONE == 0 {
            (self.0 / ONE) as f64
        } else {
            self.0 as f64 / ONE as f64
        }
    }

    /// -1, 0 or 1.
    pub fn sign(self) -> i64 {
        self.0.signum() as i64
    }

    /// Canonical text, as `Quantity.String()` writes a computed quantity. Reads back to the same amount.
    pub fn text(self, format: Format) -> String {
        if self.0 == 0 {
            return "0".into();
        }
        let whole = self.0 % ONE == 0;
        let small = self.0.abs() < 1024 * ONE;
        let mut out = String::new();
        // Above the cap a binary suffix would not read back.
        let capped = self.0.abs() > BINARY_CAP;
        if format == Format::BinarySi && whole && !small && !capped {
            let mut mantissa = self.0 / ONE;
            let mut power = 0;
            while mantissa % 1024 == 0 && power < 6 {
                mantissa /= 1024;
                power += 1;
            }
            let suffix = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"][power];
            let _ = write!(out, "{mantissa}{suffix}");
            return out;
        }
        // The largest thousand-step that divides the amount. Upstream knows no suffix above E and would drop it; the zeros stay here.
        let mut mantissa = self.0;
        let mut power = 0;
        while mantissa % 1000 == 0 && power < 9 {
            mantissa /= 1000;
            power += 1;
        }
        let _ = match (format, power) {
            (Format::DecimalExponent, 3) => write!(out, "{mantissa}"),
            (Format::DecimalExponent, _) => write!(out, "{mantissa}e{}", 3 * power as i32 - 9),
            _ => {
                let suffix = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"][power];
                write!(out, "{mantissa}{suffix}")
            }
        };
        out
    }
}

/// `digits` × 10^`shift`, rounded up.
fn decimal_nano(digits: &str, shift: i64) -> Option<i128> {
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() {
        return Some(0);
    }
    if shift >= 0 {
        let mantissa: i128 = digits.parse().ok()?;
        return mantissa.checked_mul(10i128.checked_pow(u32::try_from(shift).ok()?)?);
    }
    let dropped = usize::try_from(-shift).unwrap_or(usize::MAX);
    let keep = digits.len().saturating_sub(dropped);
    let (kept, rest) = digits.split_at(keep);
    let kept: i128 = if kept.is_empty() {
        0
    } else {
        kept.parse().ok()?
    };
    kept.checked_add(i128::from(rest.bytes().any(|digit| digit != b'0')))
}

/// `whole.fraction` × 2^`exponent`, rounded up.
fn binary_nano(whole: &str, fraction: &str, exponent: u32) -> Option<i128> {
    let unit = (1i128 << exponent) * ONE;
    let whole: i128 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    // From the last digit to the first; each floor is exact because what is added is whole.
    let mut sum = 0i128;
    let mut inexact = false;
    for digit in fraction.bytes().rev() {
        sum += i128::from(digit - b'0') * unit;
        inexact |= sum % 10 != 0;
        sum /= 10;
    }
    whole
        .checked_mul(unit)?
        .checked_add(sum + i128::from(inexact))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_apimachinery_reads() {
        for (text, nano) in [
            ("0", 0),
            ("0n", 0),
            ("-0", 0),
            ("1n", 1),
            ("1u", 1_000),
            ("100m", 100_000_000),
            ("0.1", 100_000_000),
            (".5", 500_000_000),
            ("1.", ONE),
            ("+1", ONE),
            ("-1.5", -1_500_000_000),
            ("2k", 2_000 * ONE),
            ("1e3", 1_000 * ONE),
            ("1E3", 1_000 * ONE),
            ("1e-3", 1_000_000),
            ("1e+3", 1_000 * ONE),
            ("1E", 1_000_000_000_000_000_000 * ONE),
            ("1Ei", (1 << 60) * ONE),
            ("1Ki", 1024 * ONE),
            ("0.5Mi", 524_288 * ONE),
            ("1.5Gi", 1_610_612_736 * ONE),
            // Rounds away from zero to nano.
            ("0.1n", 1),
            ("-0.1n", -1),
            ("1.0000000001", ONE + 1),
            ("0.0001Ki", 102_400_000),
            ("0.00000000001Ki", 11),
            ("1e-300", 1),
            ("0e-300", 0),
            // Capped, as upstream caps binary suffixes.
            ("8Ei", BINARY_CAP),
            ("100Ei", BINARY_CAP),
            ("-100Ei", -BINARY_CAP),
            ("99999999999999999999999999999999999999999Ki", BINARY_CAP),
        ] {
            assert_eq!(Quantity::parse(text), Ok(Quantity(nano)), "{text}");
        }
    }

    #[test]
    fn refuses_what_apimachinery_refuses() {
        for text in [
            "",
            "k",
            "+",
            ".",
            "1.1.M",
            "1+1.0M",
            "0.1mi",
            "0.1am",
            "aoeu",
            ".5i",
            "1i",
            "-3.01i",
            "-3.01e-",
            " 1",
            "1 ",
            "1K",
            "1e",
            "1e3.0",
            "1kk",
            "--1",
            "1e999",
            "1e2147483648",
            "０",
            "99999999999999999999999999999999999999999",
        ] {
            let error = Quantity::parse(text).unwrap_err();
            assert!(error.contains("quantity"), "{text}: {error}");
        }
    }

    #[test]
    fn writes_what_apimachinery_writes() {
        for (text, written) in [
            ("1024Mi", "1Gi"),
            ("1536Mi", "1536Mi"),
            ("512Ki", "512Ki"),
            ("1000Ki", "1000Ki"),
            ("0.5Ki", "512"),
            ("1.5Mi", "1536Ki"),
            ("0.0001Ki", "102400u"),
            ("1000m", "1"),
            ("1500m", "1500m"),
            ("0.1", "100m"),
            ("1000000", "1M"),
            ("123456", "123456"),
            ("1e3", "1e3"),
            ("12e0", "12"),
            ("100e-3", "100e-3"),
            ("-2000", "-2k"),
            ("1000E", "1000E"),
            ("0Gi", "0"),
        ] {
            let (quantity, format) = Quantity::parse_with_format(text).unwrap();
            assert_eq!(quantity.text(format), written, "{text}");
        }
    }

    #[test]
    fn compares_by_amount() {
        let read = |text| Quantity::parse(text).unwrap();
        assert_eq!(read("1Gi"), read("1024Mi"));
        assert!(read("1G") < read("1Gi"));
        assert!(read("-1") < read("1n"));
        assert_eq!(read("1500m").as_i64(), None);
        assert_eq!(read("1500m").as_f64(), 1.5);
        assert_eq!(read("50k").as_i64(), Some(50_000));
    }

    proptest! {
        #[test]
        fn arbitrary_text_is_read_or_refused(text in "\\PC{0,40}") {
            let _ = Quantity::parse(&text);
        }

        #[test]
        fn what_is_written_reads_back(text in "[+-]?[0-9]{1,12}(\\.[0-9]{0,12})?(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei|e-?[0-9])?") {
            // Twelve digits of the largest units are beyond the range, which is refused.
            let parsed = Quantity::parse_with_format(&text);
            prop_assume!(parsed.is_ok());
            let (quantity, format) = parsed.unwrap();
            for format in [format, Format::DecimalSi, Format::DecimalExponent, Format::BinarySi] {
                let written = quantity.text(format);
                prop_assert_eq!(Quantity::parse(&written), Ok(quantity), "{}", written);
            }
        }
    }
}

//! One clause: what it may say, and what is wrong with one that says something else.

use super::operand::{Operand, PatternCache};
use super::{Expr, Operator, ReadAs, Subject};
use serde_json::Value;
use smallvec::SmallVec;
use std::fmt::Write;

/// The right side as written.
pub enum Right {
    /// Neither `value` nor `values`.
    Nothing,
    /// `value`, a literal.
    Value(Value),
    /// `values`, literals.
    Values(Vec<Value>),
    /// `values`, the list of a parameter: nobody who wrote the rule can know whether it will be empty.
    Parameter(Vec<Value>),
    /// One `${ }` that is the whole of `value`, or of `values` (then it gives a list).
    Expr(Expr),
}

/// Which part of a clause is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClausePart {
    /// `as`
    As,
    /// `operator`; where it was left out, the whole test.
    Operator,
    /// `value`, or `values` as a whole.
    Right,
    /// The element of `values` at this index.
    Element(usize),
}

/// What is wrong with a clause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClauseProblem {
    /// Where.
    pub part: ClausePart,
    /// One sentence without a full stop.
    pub message: String,
    /// What to write instead.
    pub mend: Option<String>,
}

impl ClauseProblem {
    fn new(part: ClausePart, message: impl Into<String>, mend: impl Into<String>) -> Self {
        Self {
            part,
            message: message.into(),
            mend: Some(mend.into()),
        }
    }
}

/// `{path | expression, as, operator, value | values}`, right sides pre-parsed.
pub struct Clause {
    pub(super) subject: Subject,
    pub(super) read_as: Option<ReadAs>,
    pub(super) operator: Operator,
    pub(super) right: Prepared,
    /// As written, for people.
    text: Box<str>,
}

impl Clause {
    /// Whether an expression in it reads a variable.
    pub fn reads_variables(&self) -> bool {
        let left = match &self.subject {
            Subject::Expr(expr) => expr.reads_variables(),
            Subject::Path(_) => false,
        };
        let right = match &self.right {
            Prepared::Expr(expr, _) => expr.reads_variables(),
            _ => false,
        };
        left || right
    }
}

/// The right side, ready to compare with.
pub(super) enum Prepared {
    Nothing,
    /// One, or for `In` any number.
    Operands(SmallVec<[Operand; 1]>),
    /// Evaluated for each object. The cache spares compiling a regular expression that came out the same.
    Expr(Expr, PatternCache),
}

impl Clause {
    /// A clause whose right side is read now, where it is a literal.
    ///
    /// # Errors
    /// A right side that does not fit the operator or `as`, an operator that does not fit `as`; with the part to mark and the mend.
    pub fn new(
        subject: Subject,
        read_as: Option<ReadAs>,
        operator: Operator,
        right: Right,
    ) -> Result<Clause, ClauseProblem> {
        fits(&subject, read_as, operator)?;
        let text = told(&subject, read_as, operator, &right);
        let right = prepare(read_as, operator, right)?;
        Ok(Clause {
            subject,
            read_as,
            operator,
            right,
            text,
        })
    }

    /// The values of the right side that are written out.
    pub fn literals(&self) -> Vec<Value> {
        match &self.right {
            Prepared::Operands(operands) => operands.iter().filter_map(Operand::literal).collect(),
            _ => vec![],
        }
    }

    /// What it looks at.
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// `as`
    pub fn read_as(&self) -> Option<ReadAs> {
        self.read_as
    }

    /// `operator`
    pub fn operator(&self) -> Operator {
        self.operator
    }

    /// The expressions in it: the subject's and the right side's.
    pub fn expressions(&self) -> impl Iterator<Item = &Expr> {
        let subject = match &self.subject {
            Subject::Expr(expr) => Some(expr),
            Subject::Path(_) => None,
        };
        let right = match &self.right {
            Prepared::Expr(expr, _) => Some(expr),
            _ => None,
        };
        subject.into_iter().chain(right)
    }

    /// The right sides, if they are literal texts that are compared as they stand.
    pub fn literal_texts(&self) -> Option<Vec<&str>> {
        let Prepared::Operands(operands) = &self.right else {
            return None;
        };
        let texts = operands.iter().map(|operand| match operand {
            Operand::Json(Value::String(text)) => Some(text.as_str()),
            _ => None,
        });
        texts.collect()
    }

    /// As written, in one line: `$.spec.replicas LessThan 3`.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// Whether operator, `as` and subject go together.
fn fits(
    subject: &Subject,
    read_as: Option<ReadAs>,
    operator: Operator,
) -> Result<(), ClauseProblem> {
    let Some(read_as) = read_as else {
        return Ok(());
    };
    let name = read_as.as_str();
    let word = operator.as_str();
    if read_as == ReadAs::Count && matches!(subject, Subject::Expr(_)) {
        return Err(ClauseProblem::new(
            ClausePart::As,
            "`count` counts what a path selects; an expression has one value",
            "write `as: size` for the length of a list",
        ));
    }
    if operator.takes_nothing() && !read_as.is_image() {
        let mend = match (read_as, operator) {
            (ReadAs::Count | ReadAs::Size, Operator::NotEmpty | Operator::Exists) => {
                "leave `as` out, or write `operator: GreaterThan` and `value: 0`"
            }
            (ReadAs::Count | ReadAs::Size, _) => "leave `as` out, or write `value: 0`",
            _ => "leave `as` out",
        };
        return Err(ClauseProblem::new(
            ClausePart::As,
            format!("`{word}` does not read the value, so `as: {name}` has no meaning"),
            mend,
        ));
    }
    if operator.positive() == Operator::Matches && !read_as.is_image() {
        return Err(ClauseProblem::new(
            ClausePart::As,
            format!("`{word}` looks at text, and `as: {name}` makes none"),
            "leave `as` out, or compare with `Equals`, `GreaterThan`, `AtLeast`, `LessThan`, `AtMost`",
        ));
    }
    if operator.is_ordering() && read_as.is_image() {
        return Err(ClauseProblem::new(
            ClausePart::Operator,
            format!("`{word}` orders, and `as: {name}` is text, which has no order"),
            "compare with `Equals`, `In` or `Matches`",
        ));
    }
    Ok(())
}

fn prepare(
    read_as: Option<ReadAs>,
    operator: Operator,
    right: Right,
) -> Result<Prepared, ClauseProblem> {
    let word = operator.as_str();
    if operator.takes_nothing() {
        return match right {
            Right::Nothing => Ok(Prepared::Nothing),
            _ => Err(ClauseProblem::new(
                ClausePart::Right,
                format!("`{word}` takes no value"),
                match operator {
                    Operator::Exists | Operator::NotEmpty => {
                        "leave it out, or write `operator: Equals`"
                    }
                    _ => "leave it out, or write `operator: NotEquals`",
                },
            )),
        };
    }
    match (right, operator.takes_values()) {
        (Right::Nothing, true) => Err(ClauseProblem::new(
            ClausePart::Operator,
            format!("`{word}` needs `values`"),
            "write `values: [a, b]`",
        )),
        (Right::Nothing, false) => Err(ClauseProblem::new(
            ClausePart::Operator,
            format!("`{word}` needs a `value`"),
            if operator.is_negative() {
                "add `value`, or write `operator: DoesNotExist`"
            } else {
                "add `value`, or write `operator: Exists`"
            },
        )),
        (Right::Value(_), true) => Err(ClauseProblem::new(
            ClausePart::Right,
            format!("`{word}` takes `values`, a list"),
            "write `values: [a, b]`",
        )),
        (Right::Values(_) | Right::Parameter(_), false) => Err(ClauseProblem::new(
            ClausePart::Right,
            format!("`{word}` takes one `value`"),
            match operator {
                Operator::Equals => "write `value`, or `operator: In`".to_owned(),
                Operator::NotEquals => "write `value`, or `operator: NotIn`".to_owned(),
                Operator::Matches | Operator::DoesNotMatch => {
                    "write `value` with alternatives: `a|b`".to_owned()
                }
                _ => "write `value`".to_owned(),
            },
        )),
        (Right::Values(values), true) if values.is_empty() => Err(ClauseProblem::new(
            ClausePart::Right,
            format!("`{word}` needs at least one value"),
            "write `values: [a, b]`",
        )),
        (Right::Values(values) | Right::Parameter(values), true) => {
            let mut operands = SmallVec::with_capacity(values.len());
            for (index, value) in values.into_iter().enumerate() {
                operands.push(literal(
                    value,
                    read_as,
                    operator,
                    ClausePart::Element(index),
                )?);
            }
            Ok(Prepared::Operands(operands))
        }
        (Right::Value(value), false) => {
            let operand = literal(value, read_as, operator, ClausePart::Right)?;
            Ok(Prepared::Operands(smallvec::smallvec![operand]))
        }
        (Right::Expr(expr), _) => Ok(Prepared::Expr(expr, PatternCache::default())),
    }
}

fn literal(
    value: Value,
    read_as: Option<ReadAs>,
    operator: Operator,
    part: ClausePart,
) -> Result<Operand, ClauseProblem> {
    if value.is_null() {
        let exists = if operator.is_negative() {
            "Exists"
        } else {
            "DoesNotExist"
        };
        return Err(ClauseProblem::new(
            part,
            "null counts as absent: nothing is equal to it",
            format!("write `operator: {exists}` without a value"),
        ));
    }
    Operand::read(value, read_as, operator).map_err(|refusal| ClauseProblem {
        part,
        message: refusal.message,
        mend: refusal.mend,
    })
}

/// The clause in one line.
fn told(subject: &Subject, read_as: Option<ReadAs>, operator: Operator, right: &Right) -> Box<str> {
    let mut out = match subject {
        Subject::Path(path) => path.text().to_owned(),
        Subject::Expr(expr) => format!("${{{}}}", expr.text()),
    };
    // Writing to a String cannot fail.
    if let Some(read_as) = read_as {
        let _ = write!(out, " as {}", read_as.as_str());
    }
    let _ = write!(out, " {}", operator.as_str());
    let _ = match right {
        Right::Nothing => Ok(()),
        Right::Value(value) => write!(out, " {value}"),
        Right::Values(values) | Right::Parameter(values) => {
            write!(out, " {}", Value::Array(values.clone()))
        }
        Right::Expr(expr) => write!(out, " ${{{}}}", expr.text()),
    };
    out.into()
}

//! Variables where none are computed yet: in a `related` list a variable stands for its expression, which is compiled in its place.

use super::code::{Code, Reads};
use super::compile::Compiler;
use super::value::Val;
use super::{Names, guard};
use std::sync::Arc;

/// A variable that lists of other objects may read before it is computed.
#[derive(Clone, Debug)]
pub struct Inlined {
    /// Its name.
    pub name: Arc<str>,
    /// Its expression, without `${` and `}`. `None`: it is not one whole `${ }`.
    pub text: Option<Arc<str>>,
}

/// Most variables that one expression takes in, those within variables too.
const MOST: usize = 50;

impl Compiler<'_> {
    /// The code of a variable's expression, if the name is one. Each variable sees those above it.
    pub(super) fn inlined(&mut self, id: u64, name: &str) -> Option<Code> {
        let all = self.names.inlined;
        let place = all.iter().position(|variable| *variable.name == *name)?;
        let Some(text) = &all[place].text else {
            let message = format!(
                "the variable `{name}` is computed after the lists, and only one whole `${{ }}` can stand for it here"
            );
            return Some(self.problem(id, message, None));
        };
        self.taken_in += 1;
        if self.taken_in > MOST {
            let message =
                format!("the variable `{name}` takes in more than {MOST} others before it");
            return Some(self.problem(id, message, None));
        }
        // What cannot be read at all is told where the variable stands.
        let parsed = guard::check(text).ok().and_then(|()| {
            let environment = cel::Env::default();
            environment.compile(text).ok()
        });
        let Some(program) = parsed else {
            return Some(Code::Const(Val::Null));
        };
        let later: Vec<Arc<str>> = all[place..].iter().map(|v| v.name.clone()).collect();
        let mut inner = Compiler {
            text,
            source: program.source_info(),
            names: Names {
                inlined: &all[..place],
                later: &later,
                candidate: false,
                ..self.names
            },
            // The names around it mean nothing in it, but keep their places.
            locals: self.locals.iter().map(|_| "".into()).collect(),
            reads: Reads::default(),
            members: Vec::new(),
            problems: Vec::new(),
            depth: self.depth,
            taken_in: self.taken_in,
        };
        let code = inner.code(program.expression());
        let (reads, problems) = (inner.reads, inner.problems);
        self.taken_in = inner.taken_in;
        self.reads.together(reads);
        if let Some(problem) = problems.into_iter().next() {
            let message = format!(
                "the variable `{name}` cannot be read here: {}",
                problem.message
            );
            return Some(self.problem(id, message, None));
        }
        Some(code)
    }
}

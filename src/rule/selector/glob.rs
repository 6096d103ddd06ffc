//! Names with `*` and `?`.

use std::fmt;

/// Globs: `*` is any run of characters, `?` one; a leading `!` excludes.
#[derive(Clone, Debug, Default)]
pub struct Globs {
    include: Vec<Glob>,
    exclude: Vec<Glob>,
}

/// One pattern; the common forms are told apart once.
#[derive(Clone, Debug)]
enum Glob {
    Exact(Box<str>),
    /// `text*`
    Prefix(Box<str>),
    /// `*text`
    Suffix(Box<str>),
    Any(Box<str>),
}

impl Glob {
    fn new(pattern: &str) -> Self {
        let special = |text: &str| text.contains(['*', '?']);
        if !special(pattern) {
            return Self::Exact(pattern.into());
        }
        match (pattern.strip_suffix('*'), pattern.strip_prefix('*')) {
            (Some(prefix), _) if !special(prefix) => Self::Prefix(prefix.into()),
            (_, Some(suffix)) if !special(suffix) => Self::Suffix(suffix.into()),
            _ => Self::Any(pattern.into()),
        }
    }

    fn exact(&self) -> Option<&str> {
        match self {
            Self::Exact(name) => Some(name),
            _ => None,
        }
    }

    fn matches(&self, text: &str) -> bool {
        match self {
            Self::Exact(name) => text == &**name,
            Self::Prefix(prefix) => text.starts_with(&**prefix),
            Self::Suffix(suffix) => text.ends_with(&**suffix),
            Self::Any(pattern) => walk(pattern, text),
        }
    }
}

/// Walks both texts once and goes back only to the last `*`: at most the product of the lengths, never exponential, no recursion.
fn walk(pattern: &str, text: &str) -> bool {
    let (mut rest, mut tail) = (pattern.chars(), text.chars());
    // After the last `*`: the pattern behind it, and the text it has not swallowed.
    let mut retry: Option<(std::str::Chars<'_>, std::str::Chars<'_>)> = None;
    loop {
        let (before, here) = (tail.clone(), tail.next());
        match (rest.next(), here) {
            (None, None) => return true,
            (Some('*'), _) => {
                retry = Some((rest.clone(), before.clone()));
                tail = before;
            }
            (Some('?'), Some(_)) => {}
            (Some(p), Some(t)) if p == t => {}
            _ => {
                let Some((pattern, unswallowed)) = &mut retry else {
                    return false;
                };
                if unswallowed.next().is_none() {
                    return false;
                }
                rest = pattern.clone();
                tail = unswallowed.clone();
            }
        }
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(text) | Self::Any(text) => f.write_str(text),
            Self::Prefix(prefix) => write!(f, "{prefix}*"),
            Self::Suffix(suffix) => write!(f, "*{suffix}"),
        }
    }
}

/// As in rule files, what is excluded last: `[web-*, "!web-test"]`.
impl fmt::Display for Globs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let include = self.include.iter().map(Glob::to_string);
        let exclude = self.exclude.iter().map(|glob| format!("\"!{glob}\""));
        let all: Vec<String> = include.chain(exclude).collect();
        write!(f, "[{}]", all.join(", "))
    }
}

impl Globs {
    /// Compiles patterns. Any text is a pattern; [`Globs::check`] finds those that nobody means.
    pub fn new(patterns: Vec<String>) -> Globs {
        let mut globs = Globs::default();
        for pattern in &patterns {
            match pattern.strip_prefix('!') {
                Some(rest) => globs.exclude.push(Glob::new(rest)),
                None => globs.include.push(Glob::new(pattern)),
            }
        }
        globs
    }

    /// Whether a pattern can match a name at all.
    ///
    /// # Errors
    /// What is wrong with it, and the mend: it is empty, or holds characters that no name has.
    pub fn check(pattern: &str) -> Result<(), (String, Option<String>)> {
        let name = pattern.strip_prefix('!').unwrap_or(pattern);
        if name.is_empty() {
            return Err(("an empty pattern matches nothing".into(), None));
        }
        if name.contains("${") {
            let message = "`${ }` has no place in `match`: it is read before there is an object";
            return Err((message.into(), Some("write a test in `where`".into())));
        }
        if name.starts_with('!') {
            return Err((
                format!("`{pattern}` begins with two `!`"),
                Some(format!("write `!{}`", name.trim_start_matches('!'))),
            ));
        }
        if let Some(odd) = name
            .chars()
            .find(|c| c.is_whitespace() || "/\\^$()[]{}|+,".contains(*c))
        {
            let message = format!("{odd:?} never stands in a name");
            let mend = "these are globs: `*` is any run of characters, `?` one, `!` before a pattern excludes";
            return Err((message, Some(mend.into())));
        }
        Ok(())
    }

    /// No pattern: all. Matches when some positive pattern (if there is one) matches and no excluding one does.
    pub fn matches(&self, text: &str) -> bool {
        (self.include.is_empty() || self.include.iter().any(|glob| glob.matches(text)))
            && !self.exclude.iter().any(|glob| glob.matches(text))
    }

    /// The names that it lets in, if it names them all.
    pub fn exact_includes(&self) -> Option<Vec<&str>> {
        let all: Option<Vec<&str>> = self.include.iter().map(Glob::exact).collect();
        all.filter(|names| !names.is_empty())
    }

    /// Names that it shuts out outright.
    pub fn exact_excludes(&self) -> Vec<&str> {
        self.exclude.iter().filter_map(Glob::exact).collect()
    }

    /// Whether there is no pattern.
    pub fn is_empty(&self) -> bool {
        self.include.is_empty() && self.exclude.is_empty()
    }
}

//! The words of the language: operators, and the types of `as`.

/// `operator`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// Equal, by type and deeply: 8080 is not `"8080"`.
    Equals,
    /// No selected value is equal.
    NotEquals,
    /// Equal to one of `values`.
    In,
    /// No selected value is equal to one of `values`.
    NotIn,
    /// Something is selected.
    Exists,
    /// Nothing is selected.
    DoesNotExist,
    /// Nothing is selected but null, `""`, `[]`, `{}`.
    Empty,
    /// Something else is selected.
    NotEmpty,
    /// `>`
    GreaterThan,
    /// `>=`
    AtLeast,
    /// `<`
    LessThan,
    /// `<=`
    AtMost,
    /// A regular expression is found in the text, unanchored.
    Matches,
    /// It is found in no selected text.
    DoesNotMatch,
}

impl Operator {
    /// All of them, in the order of the language's documentation.
    pub const ALL: [Operator; 14] = [
        Self::Equals,
        Self::NotEquals,
        Self::In,
        Self::NotIn,
        Self::Exists,
        Self::DoesNotExist,
        Self::Empty,
        Self::NotEmpty,
        Self::GreaterThan,
        Self::AtLeast,
        Self::LessThan,
        Self::AtMost,
        Self::Matches,
        Self::DoesNotMatch,
    ];

    /// As written in rule files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Equals => "Equals",
            Self::NotEquals => "NotEquals",
            Self::In => "In",
            Self::NotIn => "NotIn",
            Self::Exists => "Exists",
            Self::DoesNotExist => "DoesNotExist",
            Self::Empty => "Empty",
            Self::NotEmpty => "NotEmpty",
            Self::GreaterThan => "GreaterThan",
            Self::AtLeast => "AtLeast",
            Self::LessThan => "LessThan",
            Self::AtMost => "AtMost",
            Self::Matches => "Matches",
            Self::DoesNotMatch => "DoesNotMatch",
        }
    }

    /// Reads what rule files write; the case counts.
    pub fn parse(text: &str) -> Option<Operator> {
        Self::ALL
            .into_iter()
            .find(|operator| operator.as_str() == text)
    }

    /// Passes when no selected value fulfils the positive form.
    pub fn is_negative(self) -> bool {
        matches!(
            self,
            Self::NotEquals | Self::NotIn | Self::DoesNotExist | Self::DoesNotMatch | Self::Empty
        )
    }

    /// The form that a selected value fulfils; a negative operator passes when none does.
    pub(super) fn positive(self) -> Operator {
        match self {
            Self::NotEquals => Self::Equals,
            Self::NotIn => Self::In,
            Self::DoesNotExist => Self::Exists,
            Self::DoesNotMatch => Self::Matches,
            Self::Empty => Self::NotEmpty,
            positive => positive,
        }
    }

    /// `GreaterThan` `AtLeast` `LessThan` `AtMost`
    pub fn is_ordering(self) -> bool {
        matches!(
            self,
            Self::GreaterThan | Self::AtLeast | Self::LessThan | Self::AtMost
        )
    }

    /// Whether it takes `values`, not `value`.
    pub fn takes_values(self) -> bool {
        matches!(self, Self::In | Self::NotIn)
    }

    /// Whether it takes neither `value` nor `values`.
    pub fn takes_nothing(self) -> bool {
        matches!(
            self,
            Self::Exists | Self::DoesNotExist | Self::Empty | Self::NotEmpty
        )
    }
}

/// `as`: how values are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadAs {
    /// now − timestamp
    Age,
    /// timestamp − now
    Until,
    /// `90s`, `7d`, `1h30m`
    Duration,
    /// `500Mi`
    Quantity,
    /// A semantic version, with or without a leading `v`; ordered by precedence.
    Semver,
    /// A number, also one written as text.
    Number,
    /// The length of one value: characters, elements, members.
    Size,
    /// The number of selected values.
    Count,
    /// The registry of an image reference, `docker.io` if it names none.
    ImageRegistry,
    /// The repository of an image reference.
    ImageRepository,
    /// The tag of an image reference; absent if it has none.
    ImageTag,
    /// The digest of an image reference; absent if it has none.
    ImageDigest,
}

impl ReadAs {
    /// All of them, in the order of the language's documentation.
    pub const ALL: [ReadAs; 12] = [
        Self::Age,
        Self::Until,
        Self::Duration,
        Self::Quantity,
        Self::Semver,
        Self::Number,
        Self::Size,
        Self::Count,
        Self::ImageRegistry,
        Self::ImageRepository,
        Self::ImageTag,
        Self::ImageDigest,
    ];

    /// As written in rule files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Age => "age",
            Self::Until => "until",
            Self::Duration => "duration",
            Self::Quantity => "quantity",
            Self::Semver => "semver",
            Self::Number => "number",
            Self::Size => "size",
            Self::Count => "count",
            Self::ImageRegistry => "image.registry",
            Self::ImageRepository => "image.repository",
            Self::ImageTag => "image.tag",
            Self::ImageDigest => "image.digest",
        }
    }

    /// Reads what rule files write; the case counts.
    pub fn parse(text: &str) -> Option<ReadAs> {
        Self::ALL
            .into_iter()
            .find(|read_as| read_as.as_str() == text)
    }

    /// Time alone changes how it comes out.
    pub fn is_of_time(self) -> bool {
        matches!(self, Self::Age | Self::Until)
    }

    /// A part of an image reference: text.
    pub fn is_image(self) -> bool {
        matches!(
            self,
            Self::ImageRegistry | Self::ImageRepository | Self::ImageTag | Self::ImageDigest
        )
    }
}

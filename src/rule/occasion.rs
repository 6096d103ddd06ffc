//! When a rule looks, and whether it acts.

/// Whether a rule acts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Evaluate and report what it would do.
    #[default]
    Audit,
    /// Do it.
    Enforce,
    /// Not evaluated.
    Off,
}

/// When a rule looks at an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// The loop: every object, new or old.
    Reconcile,
    /// At admission, while it is being created.
    Create,
    /// At admission, while it is being updated.
    Update,
    /// At admission, while it is being deleted.
    Delete,
}

/// A set of occasions, never empty for a compiled rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occasions(u8);

impl Occasions {
    /// None of them.
    pub const NONE: Occasions = Occasions(0);

    /// This set and one more.
    #[must_use]
    pub fn and(self, occasion: Occasion) -> Self {
        Occasions(self.0 | 1 << occasion as u8)
    }

    /// Whether it is one of them.
    pub fn has(self, occasion: Occasion) -> bool {
        self.0 & 1 << occasion as u8 != 0
    }
}

impl Occasions {
    /// Whether some of them is an admission.
    pub fn admits(self) -> bool {
        let admissions = [Occasion::Create, Occasion::Update, Occasion::Delete];
        admissions.into_iter().any(|occasion| self.has(occasion))
    }
}

impl Default for Occasions {
    fn default() -> Self {
        Occasions::NONE.and(Occasion::Reconcile)
    }
}

/// `admission` of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdmissionOptions {
    /// `failurePolicy: Fail`: a request of which something is not known is refused. Otherwise it passes unchanged.
    pub fails: bool,
    /// `timeoutSeconds`, from 1 to 30.
    pub timeout_seconds: u8,
}

impl Default for AdmissionOptions {
    fn default() -> Self {
        AdmissionOptions {
            fails: false,
            timeout_seconds: 2,
        }
    }
}

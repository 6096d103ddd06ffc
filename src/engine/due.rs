//! (due)

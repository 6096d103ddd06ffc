//! (watches)

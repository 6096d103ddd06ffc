//! (protect)

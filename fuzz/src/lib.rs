//! Fuzz targets of what strangers may send; `tests/fuzz` runs them.

pub mod checks;

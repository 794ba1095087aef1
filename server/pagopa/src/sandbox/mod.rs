//! The sandbox platform: what pagoPA does, on one machine, with invented money.

//! The Portale Genitori, through a browser's door.

mod entry;

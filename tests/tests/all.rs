//! The one integration binary: every file of `all/` is a module of it, so that the workspace links one test program
//! instead of dozens. A new suite is a file there and a line here.

// Always true here; it tells clippy that the helpers between the tests may panic too.
#[cfg(test)]
mod all {
    mod accounts;
    mod chance;
    mod demo;
    mod devices;
    mod documents;
    mod faults;
    mod guides;
    mod history;
    mod hostile;
    mod ledger_verify;
    mod letters;
    mod listeners;
    mod mail;
    mod node;
    mod nodes;
    mod phone;
    mod portal;
    mod post;
    mod postgres;
    mod proof;
    mod push;
    mod refusals;
    mod seals;
    mod sessions;
    mod simulation;
    mod store;
    mod tap;
    mod tidy;
    mod torture;
    mod watch;
}

//! The short form of the fuzz targets (`tests/fuzz`): the same checks on a few thousand seeded mutations of the same seeds,
//! so that a failure names the seed that repeats it.

#[path = "../../../fuzz/src/checks.rs"]
mod checks;

use std::panic::{RefUnwindSafe, catch_unwind};
use std::path::Path;

/// How many mutations each check gets.
const MUTATIONS: u64 = 4_000;

/// SplitMix64.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end.max(1)).expect("a length")).expect("below it")
    }
}

/// The files of a folder of the repository, in the order of their names.
fn seeds(folder: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder);
    let entries = std::fs::read_dir(&folder).expect("a folder of seeds");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths.into_iter().map(|path| std::fs::read(path).expect("a seed")).collect()
}

/// A seed with a few bytes changed, taken out, put in, doubled, or replaced by a piece of another seed.
fn mutated(seeds: &[Vec<u8>], chance: &mut Chance) -> Vec<u8> {
    const PIECES: &[u8] = b"0123456789ABCxyz<>&;='\"|{}[],.:- \0\x80\xc3\xff";
    let mut body = seeds[chance.below(seeds.len())].clone();
    for _ in 0..=chance.below(4) {
        let at = chance.below(body.len());
        let to = (at + chance.below(24)).min(body.len());
        match chance.below(6) {
            0 => drop(body.splice(at..to.min(at + 1), [PIECES[chance.below(PIECES.len())]])),
            1 => drop(body.drain(at..to)),
            2 => body.insert(at, PIECES[chance.below(PIECES.len())]),
            3 => drop(body.splice(at..at, body[at..to].to_vec())),
            4 => {
                let donor = &seeds[chance.below(seeds.len())];
                let from = chance.below(donor.len());
                let piece = donor[from..(from + chance.below(24)).min(donor.len())].to_vec();
                drop(body.splice(at..to, piece));
            }
            _ => body.truncate(at),
        }
    }
    body
}

fn holds(folder: &str, check: impl Fn(&[u8]) + RefUnwindSafe) {
    let seeds = seeds(folder);
    for seed in &seeds {
        check(seed);
    }
    for number in 0..MUTATIONS {
        let body = mutated(&seeds, &mut Chance(number));
        let held = catch_unwind(|| check(&body));
        assert!(held.is_ok(), "mutation {number} of {folder}: {:?}", String::from_utf8_lossy(&body));
    }
}

fn texts(folder: &str, check: impl Fn(&str) + RefUnwindSafe) {
    holds(folder, |body| check(&String::from_utf8_lossy(body)));
}

#[test]
fn the_nodes_calls() {
    holds("tests/fixtures/pagopa", checks::soap);
}

#[test]
fn top_ups_typed_at_a_psp() {
    holds("fuzz/seeds/top_up", checks::top_up);
}

#[test]
fn codes_that_people_type() {
    texts("fuzz/seeds/notice", checks::notice);
}

#[test]
fn tokens() {
    texts("fuzz/seeds/token", checks::token);
}

#[test]
fn proofs() {
    holds("fuzz/seeds/proof", checks::proof);
}

//! Checks which file of a crate names which. A crate's `tests/layers.rs` has the table of layers;
//! this crate reads the sources.
//!
//! It reads text, not types. A file names another one if a path in it ends there, through
//! re-exports. Such a path begins with `crate::`, `super::`, `self::`, or an imported or declared
//! module. Tests may name anything.

mod lexer;
mod names;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

pub use self::names::Sources;

/// A crate's rules. Paths are relative to its `src/`, without `.rs`: `wire/frame`,
/// `connection/mod`.
#[derive(Debug)]
pub struct Rules<'a> {
    /// Rooms by floor, the lowest floor first. A file belongs to the room with the longest prefix
    /// of its path. It may name files of its own room and of lower floors; rooms on the same floor
    /// may not name each other.
    pub floors: &'a [&'a [&'a str]],
    /// Words that a room's code may not contain, regardless of case; comments may contain them.
    pub forbidden: &'a [(&'a str, &'a [&'a str])],
    /// Exceptions: names that point upward, as `file -> file`. The list may only shrink: an entry
    /// that is no longer needed is a fault.
    pub allowed: &'a [&'a str],
    /// Exceptions: files with forbidden words, and the number of such places. This list, too, may
    /// only shrink.
    pub allowed_words: &'a [(&'a str, usize)],
    /// How many files may be in import cycles larger than a parent and its child. This number may
    /// only shrink.
    pub in_circles: usize,
}

/// Checks the crate with this `src/` folder. Returns one line per violation, none if all rules are
/// kept.
///
/// # Errors
/// If a source file cannot be read.
pub fn faults(src: &Path, rules: &Rules) -> std::io::Result<Vec<String>> {
    let sources = Sources::read(src)?;
    let named = sources.named();
    let mut faults = Vec::new();
    let mut upward = BTreeSet::new();
    for (file, targets) in &named {
        let Some(from) = floor(file, rules.floors) else {
            faults.push(format!("{file} is on no floor"));
            continue;
        };
        for (target, names) in targets {
            let Some(to) = floor(target, rules.floors) else {
                continue;
            };
            if to.0 < from.0 || to == from {
                continue;
            }
            let entry = format!("{file} -> {target}");
            if !rules.allowed.contains(&entry.as_str()) {
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                faults.push(format!(
                    "{entry}: {} points upward or sideways",
                    names.join(", ")
                ));
            }
            upward.insert(entry);
        }
    }
    let unneeded = rules
        .allowed
        .iter()
        .filter(|entry| !upward.contains(**entry));
    faults.extend(unneeded.map(|entry| format!("allowed, and not there any more: {entry}")));
    faults.extend(words(&sources, rules));

    let circles = circles(&named);
    let in_circles: usize = circles.iter().map(Vec::len).sum();
    if in_circles != rules.in_circles {
        faults.push(format!(
            "{in_circles} files are part of circles, not {}:",
            rules.in_circles
        ));
        faults.extend(
            circles
                .iter()
                .map(|circle| format!("  a circle: {}", circle.join(" "))),
        );
    }
    Ok(faults)
}

/// The floor and the room of a file.
fn floor<'a>(file: &str, floors: &[&'a [&'a str]]) -> Option<(usize, &'a str)> {
    let rooms = floors
        .iter()
        .enumerate()
        .flat_map(|(at, rooms)| rooms.iter().map(move |room| (at, *room)));
    rooms
        .filter(|(_, room)| is_below(file, room))
        .max_by_key(|(_, room)| room.len())
}

fn is_below(file: &str, room: &str) -> bool {
    file.strip_prefix(room)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn words(sources: &Sources, rules: &Rules) -> Vec<String> {
    let mut faults = Vec::new();
    for (file, code) in sources.code() {
        let mut found = Vec::new();
        for (room, words) in rules
            .forbidden
            .iter()
            .filter(|(room, _)| is_below(file, room))
        {
            for (at, line) in code.lines().enumerate() {
                let line = line.to_lowercase();
                let words = words
                    .iter()
                    .filter(|word| line.contains(&word.to_lowercase()));
                found.extend(
                    words.map(|word| format!("{file}:{}: '{word}' has no place in {room}", at + 1)),
                );
            }
        }
        let allowed = rules
            .allowed_words
            .iter()
            .find(|(allowed, _)| *allowed == file)
            .map_or(0, |(_, count)| *count);
        if found.len() != allowed {
            faults.push(format!(
                "{file} has {} forbidden words; allowed: {allowed}",
                found.len()
            ));
            faults.append(&mut found);
        }
    }
    faults
}

/// Groups of files that name each other, directly or indirectly. A parent and its child may.
fn circles(named: &BTreeMap<String, BTreeMap<String, BTreeSet<String>>>) -> Vec<Vec<String>> {
    let reach: BTreeMap<&str, BTreeSet<&str>> = named
        .keys()
        .map(|file| (file.as_str(), reachable(named, file)))
        .collect();
    let mut circles: Vec<Vec<String>> = Vec::new();
    for file in named
        .keys()
        .filter(|file| reach[file.as_str()].contains(file.as_str()))
    {
        if circles.iter().flatten().any(|known| known == file) {
            continue;
        }
        let back = |other: &&&str| {
            reach
                .get(**other)
                .is_some_and(|reached| reached.contains(file.as_str()))
        };
        let circle: Vec<String> = reach[file.as_str()]
            .iter()
            .filter(back)
            .map(ToString::to_string)
            .collect();
        let family = |parent: &str, child: &str| {
            is_below(child, parent.strip_suffix("/mod").unwrap_or(parent))
        };
        match &circle[..] {
            [a, b] if family(a, b) || family(b, a) => {}
            _ => circles.push(circle),
        }
    }
    circles
}

fn reachable<'a>(
    named: &'a BTreeMap<String, BTreeMap<String, BTreeSet<String>>>,
    from: &str,
) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut open = vec![from];
    while let Some(file) = open.pop() {
        for target in named.get(file).into_iter().flat_map(BTreeMap::keys) {
            if reached.insert(target.as_str()) {
                open.push(target);
            }
        }
    }
    reached
}

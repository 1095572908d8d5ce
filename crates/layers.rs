//! Which way the names in a crate's files may point. `tests/layers.rs` of each crate has its own table of floors and
//! shares this file.
//!
//! It reads names, not types: what a file says after `crate::`, `super::`, `self::` or the name of one of its own
//! modules, in `use` groups and in plain paths. A name that is re-exported counts as the file that has it. Tests may
//! name what they like.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A crate's rules.
pub struct Rules {
    /// The crate's `src`.
    pub src: &'static str,
    /// What a file's path begins with, and its floor; the longest one that fits counts. Names point to the same floor
    /// or to one below.
    pub floors: &'static [(&'static str, u8)],
    /// Folders of which none may name another.
    pub strangers: &'static [&'static str],
    /// Words that files whose paths begin so must not have, not even in strings.
    pub forbidden: &'static [(&'static str, &'static [&'static str])],
    /// Names that break the rules still, from a file to a file. One that is no longer needed is an error too.
    pub allowed: &'static [(&'static str, &'static str)],
}

/// Panics with everything that breaks the rules.
pub fn check(rules: &Rules) {
    let crate_ = Crate::read(Path::new(rules.src));
    let mut wrong = BTreeSet::new();
    for file in crate_.files.keys() {
        if floor(rules, file).is_none() {
            wrong.insert(format!("{file} has no floor"));
        }
        for (prefix, words) in rules.forbidden {
            let text = &crate_.files[file].text;
            for word in words.iter().filter(|word| text.contains(**word)) {
                if file.starts_with(prefix) {
                    wrong.insert(format!("{file} has the word '{word}'"));
                }
            }
        }
    }
    let mut names = crate_.names();
    let mut broken = Vec::new();
    for (from, to) in all(&names) {
        let wing = |file: &str| rules.strangers.iter().position(|s| file.starts_with(s));
        if floor(rules, &to) > floor(rules, &from) {
            broken.push((from, to, "upward"));
        } else if wing(&from).is_some_and(|one| wing(&to).is_some_and(|other| one != other)) {
            broken.push((from, to, "between strangers"));
        }
    }
    for (from, to, _) in &broken {
        names.get_mut(from).unwrap().remove(to);
    }
    let circles = all(&names).filter(|(from, to)| crate_.is_in_circle(&names, from, to));
    broken.extend(circles.map(|(from, to)| (from, to, "in a circle")));
    let mut allowed: BTreeSet<_> = rules.allowed.iter().copied().collect();
    for (from, to, why) in &broken {
        if !allowed.remove(&(from.as_str(), to.as_str())) {
            wrong.insert(format!("{from} -> {to} ({why})"));
        }
    }
    let stale = allowed
        .iter()
        .map(|(from, to)| format!("{from} -> {to} need not be allowed"));
    wrong.extend(stale);
    let wrong = Vec::from_iter(wrong).join("\n");
    assert!(wrong.is_empty(), "against the rules:\n{wrong}");
}

fn floor(rules: &Rules, file: &str) -> Option<u8> {
    let fits = rules
        .floors
        .iter()
        .filter(|(prefix, _)| file.starts_with(prefix));
    fits.max_by_key(|(prefix, _)| prefix.len())
        .map(|(_, floor)| *floor)
}

/// One file.
struct File {
    module: Vec<String>,
    /// Without its comments, its tests and blanks.
    text: String,
    /// Paths it names, from the crate's root.
    paths: Vec<Vec<String>>,
    /// Names it re-exports, and where they are from.
    exports: BTreeMap<String, Vec<String>>,
}

/// The files that each file names.
type Names = BTreeMap<String, BTreeSet<String>>;

fn all(names: &Names) -> impl Iterator<Item = (String, String)> + use<> {
    let pairs = |(from, to): (&String, &BTreeSet<String>)| -> Vec<_> {
        to.iter().map(|to| (from.clone(), to.clone())).collect()
    };
    let pairs: Vec<_> = names
        .iter()
        .flat_map(pairs)
        .filter(|(from, to)| from != to)
        .collect();
    pairs.into_iter()
}

struct Crate {
    files: BTreeMap<String, File>,
    modules: BTreeMap<Vec<String>, String>,
}

impl Crate {
    fn read(src: &Path) -> Self {
        let mut texts = BTreeMap::new();
        collect(src, src, &mut texts);
        let mut files = BTreeMap::new();
        let mut of_tests = BTreeSet::new();
        for (path, text) in texts {
            let module = module(&path);
            let mut tokens = tokens(&text);
            for name in drop_tests(&mut tokens) {
                let mut test = module.clone();
                test.push(name);
                of_tests.insert(test);
            }
            let (paths, exports) = read_paths(&tokens, &module);
            let text = tokens.concat();
            files.insert(
                path,
                File {
                    module,
                    text,
                    paths,
                    exports,
                },
            );
        }
        files.retain(|_, file| !of_tests.iter().any(|test| file.module.starts_with(test)));
        // `main.rs` is a root as well: `lib.rs` comes first.
        let modules = files
            .iter()
            .rev()
            .map(|(path, file)| (file.module.clone(), path.clone()))
            .collect();
        Self { files, modules }
    }

    /// The files that each file names.
    fn names(&self) -> Names {
        let of = |file: &File| {
            file.paths
                .iter()
                .filter_map(|path| self.file_of(path.clone(), 0))
                .collect()
        };
        let names = self
            .files
            .iter()
            .map(|(from, file)| (from.clone(), of(file)));
        names.collect()
    }

    /// The file that has what a path names.
    fn file_of(&self, path: Vec<String>, depth: u8) -> Option<String> {
        let modules = (0..=path.len())
            .rev()
            .find_map(|n| Some((n, self.modules.get(&path[..n])?)));
        let (n, file) = modules?;
        match path
            .get(n)
            .and_then(|name| self.files[file].exports.get(name))
        {
            Some(export) if depth < 8 => {
                let whole = [export, &path[n + 1..]].concat();
                self.file_of(whole, depth + 1)
            }
            _ => Some(file.clone()),
        }
    }

    /// Whether the name closes a circle that is more than a module and its parent.
    fn is_in_circle(&self, names: &Names, from: &str, to: &str) -> bool {
        let (one, other) = (&self.files[from].module, &self.files[to].module);
        let is_child = |child: &[String], parent: &[String]| {
            child.split_last().is_some_and(|(_, p)| p == parent)
        };
        if is_child(one, other) || is_child(other, one) {
            return false;
        }
        let (mut seen, mut next) = (BTreeSet::new(), vec![to]);
        while let Some(file) = next.pop() {
            if seen.insert(file) {
                next.extend(names[file].iter().map(String::as_str));
            }
        }
        seen.contains(from)
    }
}

fn collect(root: &Path, folder: &Path, texts: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, texts);
        } else if path.extension().is_some_and(|e| e == "rs") {
            let name = path
                .strip_prefix(root)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned();
            texts.insert(name, std::fs::read_to_string(path).unwrap());
        }
    }
}

/// The module that a file is.
fn module(path: &str) -> Vec<String> {
    let mut module: Vec<String> = path
        .trim_end_matches(".rs")
        .split('/')
        .map(str::to_owned)
        .collect();
    if matches!(
        module.last().map(String::as_str),
        Some("mod" | "lib" | "main")
    ) {
        module.pop();
    }
    module
}

/// How long a string or a character is that begins here.
fn literal(text: &str) -> Option<usize> {
    let hashes = text
        .strip_prefix('r')
        .map(|t| t.len() - t.trim_start_matches('#').len());
    if let Some(hashes) = hashes.filter(|n| text[1 + n..].starts_with('"')) {
        let (begin, end) = (hashes + 2, format!("\"{}", "#".repeat(hashes)));
        return text[begin..].find(&end).map(|at| begin + at + end.len());
    }
    let mut chars = text.char_indices();
    match (
        chars.next()?.1,
        chars.next()?.1,
        chars.next().map(|(_, c)| c),
    ) {
        ('"', ..) => {}
        ('\'', '\\', _) => {}
        ('\'', c, Some('\'')) => return Some(2 + c.len_utf8()),
        // A lifetime, or no literal at all.
        _ => return None,
    }
    let (quote, mut is_escaped) = (text.chars().next()?, false);
    let mut ends = text.char_indices().skip(1).filter(|(_, c)| {
        let ends = *c == quote && !is_escaped;
        is_escaped = *c == '\\' && !is_escaped;
        ends
    });
    ends.next().map(|(at, _)| at + 1)
}

/// Words, strings, `::` and single signs; no comments.
fn tokens(text: &str) -> Vec<&str> {
    let (mut tokens, mut rest) = (Vec::new(), text.trim_start());
    while let Some(c) = rest.chars().next() {
        let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
        let (len, is_token) = match (literal(rest), word) {
            _ if rest.starts_with("//") => (rest.find('\n').unwrap_or(rest.len()), false),
            _ if rest.starts_with("/*") => (rest.find("*/").map_or(rest.len(), |n| n + 2), false),
            (Some(len), _) => (len, true),
            _ if rest.starts_with("::") => (2, true),
            (None, Some(0)) => (c.len_utf8(), true),
            (None, word) => (word.unwrap_or(rest.len()), true),
        };
        if is_token {
            tokens.push(&rest[..len]);
        }
        rest = rest[len..].trim_start();
    }
    tokens
}

/// Takes out what is for tests only; the modules of files that are.
fn drop_tests(tokens: &mut Vec<&str>) -> Vec<String> {
    let mut modules = Vec::new();
    const CFG: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    while let Some(start) = tokens.windows(7).position(|w| w == CFG) {
        let (mut end, mut depth) = (start + 7, 0);
        while end < tokens.len() {
            depth += i32::from(tokens[end] == "{") - i32::from(tokens[end] == "}");
            end += 1;
            if depth == 0 && matches!(tokens[end - 1], ";" | "}") {
                break;
            }
        }
        if let Some(at) = tokens[start..end].iter().position(|t| *t == "mod") {
            modules.push(tokens[start + at + 1].to_owned());
        }
        tokens.drain(start..end);
    }
    modules
}

type Paths = (Vec<Vec<String>>, BTreeMap<String, Vec<String>>);

/// The paths that a file names, and those that it re-exports by their new names.
fn read_paths(tokens: &[&str], module: &[String]) -> Paths {
    let own: Vec<_> = tokens
        .windows(3)
        .filter(|w| w[0] == "mod" && w[2] == ";")
        .map(|w| w[1])
        .collect();
    let (mut paths, mut exports) = Paths::default();
    // The modules inside of the file that the place is in, each with the depth of its braces.
    let (mut inner, mut depth, mut is_export, mut at) = (Vec::new(), 0, false, 0);
    while at < tokens.len() {
        let (token, next) = (tokens[at], tokens.get(at + 1).copied().unwrap_or_default());
        match token {
            "{" => depth += 1,
            "}" => {
                depth -= 1;
                inner.retain(|of| *of < depth + 1);
            }
            "mod" if tokens.get(at + 2) == Some(&"{") => inner.push(depth + 1),
            "use" => is_export = at > 0 && matches!(tokens[at - 1], "pub" | ")"),
            ";" => is_export = false,
            _ => {}
        }
        let is_inside = tokens[..at].ends_with(&["::"]) || tokens[..at].ends_with(&["(", "in"]);
        let begins = matches!(token, "crate" | "super" | "self") || own.contains(&token);
        if !begins || next != "::" || is_inside {
            at += 1;
            continue;
        }
        let mut from = module.to_vec();
        match token {
            "crate" => from.clear(),
            "super" if inner.is_empty() => drop(from.pop()),
            "super" | "self" => {}
            child => from.push(child.to_owned()),
        }
        at = read_tree(tokens, at + 2, from, &mut |path, name| {
            if is_export {
                exports.insert(name.to_owned(), path.clone());
            }
            paths.push(path);
        });
    }
    (paths, exports)
}

/// Reads on behind a `::`; where the path ends.
fn read_tree(
    tokens: &[&str],
    mut at: usize,
    mut path: Vec<String>,
    found: &mut dyn FnMut(Vec<String>, &str),
) -> usize {
    let get = |at: usize| tokens.get(at).copied().unwrap_or_default();
    if get(at) == "{" {
        at += 1;
        while at < tokens.len() && get(at) != "}" {
            at = read_tree(tokens, at, path.clone(), found);
            at += usize::from(get(at) == ",");
        }
        return at + 1;
    }
    match get(at) {
        "super" => drop(path.pop()),
        "self" | "*" | "<" => {}
        name => path.push(name.to_owned()),
    }
    at += 1;
    if get(at) == "::" {
        return read_tree(tokens, at + 1, path, found);
    }
    let name = path.last().cloned().unwrap_or_default();
    if get(at) == "as" {
        found(path, get(at + 1));
        return at + 2;
    }
    found(path, &name);
    at
}

#[test]
fn names_are_read() {
    let text = r##"
        use crate::{wire::{self, frame::Frame}, b as c}; // crate::comment
        pub(crate) use super::base::Base as Renamed;
        mod child; mod inner { use super::child::X; fn f() { self::g("crate::string") } }
        #[cfg(test)] mod tests { use crate::test; }
        fn f<'a>(x: &'a str) -> char { crate::deep::path::<u8>('"'); std::fs::read(x); 'x' }
    "##;
    let mut tokens = tokens(text);
    assert_eq!(drop_tests(&mut tokens), ["tests"]);
    let (paths, exports) = read_paths(&tokens, &module("a/mod.rs"));
    let paths: Vec<_> = paths.iter().map(|path| path.join("::")).collect();
    let all = "wire wire::frame::Frame b base::Base a::child::X a::g deep::path";
    assert_eq!(paths.join(" "), all);
    assert_eq!(exports["Renamed"], ["base", "Base"]);
}

//! Finds which file names which: follows the paths in the code to the files where they end.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::lexer;

/// A path, as the names from the crate's root.
type Names = Vec<String>;

/// A crate's files, without tests.
#[derive(Debug, Default)]
pub struct Sources {
    files: BTreeMap<Names, Module>,
}

#[derive(Debug, Default)]
struct Module {
    file: String,
    code: String,
    /// Every path in its code.
    paths: Vec<Names>,
    /// Its imports, by the name under which it uses them.
    aliases: BTreeMap<String, Names>,
    /// Its re-exports, by name.
    exports: BTreeMap<String, Names>,
}

impl Sources {
    /// Reads all files below `src`.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn read(src: &Path) -> std::io::Result<Self> {
        let mut sources = Self::default();
        sources.read_folder(src, &[])?;
        let modules: BTreeSet<Names> = sources.files.keys().cloned().collect();
        for (module, file) in &mut sources.files {
            file.read_paths(module, &modules);
        }
        Ok(sources)
    }

    fn read_folder(&mut self, folder: &Path, above: &[String]) -> std::io::Result<()> {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            let stem = path
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if stem.ends_with("tests") {
                continue;
            }
            let mut module = above.to_vec();
            if path.is_dir() {
                module.push(stem);
                self.read_folder(&path, &module)?;
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let file = above
                    .iter()
                    .chain([&stem])
                    .map(String::as_str)
                    .collect::<Vec<_>>()
                    .join("/");
                if stem != "mod" && (stem != "lib" || !above.is_empty()) {
                    module.push(stem);
                }
                let code = lexer::code(&std::fs::read_to_string(&path)?);
                self.files.insert(
                    module,
                    Module {
                        file,
                        code,
                        ..Module::default()
                    },
                );
            }
        }
        Ok(())
    }

    /// Each file with its code.
    pub fn code(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files
            .values()
            .map(|module| (module.file.as_str(), module.code.as_str()))
    }

    /// Each file, with the files that it names and the names it uses for them.
    pub fn named(&self) -> BTreeMap<String, BTreeMap<String, BTreeSet<String>>> {
        let mut named = BTreeMap::new();
        for module in self.files.values() {
            let targets: &mut BTreeMap<String, BTreeSet<String>> =
                named.entry(module.file.clone()).or_default();
            for path in &module.paths {
                let target = self.end_of(path, 0);
                if target != module.file {
                    targets
                        .entry(target.to_owned())
                        .or_default()
                        .extend(path.last().cloned());
                }
            }
        }
        named
    }

    /// The file where a path ends, through re-exports.
    fn end_of(&self, path: &[String], depth: usize) -> &str {
        let mut at = 0;
        while at < path.len() && self.files.contains_key(&path[..=at]) {
            at += 1;
        }
        let module = self.files.get(&path[..at]);
        let export = path.get(at).and_then(|name| module?.exports.get(name));
        match export {
            Some(target) if depth < 8 => {
                let onward: Names = target.iter().chain(&path[at + 1..]).cloned().collect();
                self.end_of(&onward, depth + 1)
            }
            _ => module.map_or("", |module| &module.file),
        }
    }
}

impl Module {
    fn read_paths(&mut self, module: &[String], modules: &BTreeSet<Names>) {
        let tokens = tokens(&self.code);
        let children = |name: &str| modules.contains(&[module, &[name.to_owned()]].concat());
        let mut at = 0;
        while at < tokens.len() {
            let is_use = tokens[at] == "use";
            let public = is_use && at > 0 && (tokens[at - 1] == "pub" || tokens[at - 1] == ")");
            let start = at + usize::from(is_use);
            let word = tokens.get(start).map_or("", |token| token);
            let follows =
                at > 0 && ["::", ".", "$", "fn", "mod"].contains(&tokens[at - 1].as_str());
            let is_path = tokens.get(start + 1).is_some_and(|token| token == "::");
            let known = ["crate", "self", "super"].contains(&word)
                || children(word)
                || self.aliases.contains_key(word);
            if follows || !known || !(is_path || is_use) {
                at += 1;
                continue;
            }
            let mut found = Vec::new();
            at = tree(&tokens, start, &[], &mut found);
            for (path, alias) in found {
                let path = self.absolute(module, path);
                let own = path.starts_with(module);
                if is_use && !alias.is_empty() {
                    let names = if public {
                        &mut self.exports
                    } else {
                        &mut self.aliases
                    };
                    names.insert(alias, path.clone());
                }
                // A module's re-exports of its own files are not imports.
                if !(public && own) {
                    self.paths.push(path);
                }
            }
        }
    }

    /// A path in the code, made absolute.
    fn absolute(&self, module: &[String], mut path: Names) -> Names {
        let mut base = module.to_vec();
        match path.first().map(String::as_str) {
            Some("crate") => return path.split_off(1),
            Some("self" | "super") => {
                while path
                    .first()
                    .is_some_and(|name| name == "self" || name == "super")
                {
                    if path.remove(0) == "super" {
                        base.pop();
                    }
                }
            }
            Some(name) => {
                if let Some(imported) = self.aliases.get(name) {
                    base.clone_from(imported);
                    path.remove(0);
                }
            }
            None => {}
        }
        base.extend(path);
        base
    }
}

/// Reads a path, or a tree of paths in braces, from a token on; returns each with the name under
/// which it is imported.
fn tree(
    tokens: &[String],
    mut at: usize,
    above: &[String],
    found: &mut Vec<(Names, String)>,
) -> usize {
    let mut path = above.to_vec();
    loop {
        match tokens.get(at).map(String::as_str) {
            Some("{") => {
                at += 1;
                while tokens.get(at).is_some_and(|token| token != "}") {
                    let next = tree(tokens, at, &path, found);
                    at = if tokens.get(next).is_some_and(|token| token == ",") {
                        next + 1
                    } else {
                        next.max(at + 1)
                    };
                }
                return at + 1;
            }
            Some("*") => {
                found.push((path, String::new()));
                return at + 1;
            }
            // `{self, …}` stands for the path before it.
            Some("self") if !path.is_empty() => at += 1,
            Some(name) if name.starts_with(|c: char| c.is_alphabetic() || c == '_') => {
                path.push(name.to_owned());
                at += 1;
            }
            _ => {
                found.push((path, String::new()));
                return at;
            }
        }
        if tokens.get(at).is_some_and(|token| token == "::") {
            at += 1;
            continue;
        }
        let renamed = tokens.get(at).is_some_and(|token| token == "as");
        let alias = if renamed {
            tokens.get(at + 1).cloned()
        } else {
            path.last().cloned()
        };
        found.push((path, alias.unwrap_or_default()));
        return at + if renamed { 2 } else { 0 };
    }
}

/// Splits code into words, `::`, and single other characters.
fn tokens(code: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut word = String::new();
    let mut rest = code.chars().peekable();
    while let Some(c) = rest.next() {
        if c.is_alphanumeric() || c == '_' {
            word.push(c);
            continue;
        }
        if !word.is_empty() {
            tokens.push(std::mem::take(&mut word));
        }
        if c == ':' && rest.peek() == Some(&':') {
            rest.next();
            tokens.push("::".to_owned());
        } else if !c.is_whitespace() {
            tokens.push(c.to_string());
        }
    }
    tokens.push(word);
    tokens
}

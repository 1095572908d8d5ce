//! Every way to name another file is found, and nothing else.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use layers::{faults, Rules};

const FLOORS: &[&[&str]] = &[&["low"], &["left", "right"], &["high"], &["lib"]];

const ALL_WELL: &[(&str, &str)] = &[
    ("lib.rs", "mod high; mod left; mod low; mod right; pub use high::Tall;"),
    ("low.rs", "// crate::high\npub struct Deep; const X: &str = \"crate::high\";\n#[cfg(test)] mod tests { use crate::high; }"),
    ("left.rs", "use crate::low::Deep;"),
    ("right.rs", "use super::low::{self, Deep as D};"),
    ("high/mod.rs", "mod inner; pub use self::inner::Inner; pub struct Tall(crate::left::Left);"),
    ("high/inner.rs", "pub struct Inner; fn f() -> super::Tall {}"),
];

/// The faults in a crate that is valid except for these files.
fn found(name: &str, changed: &[(&str, &str)], rules: Option<Rules>) -> String {
    let src = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&src);
    for (file, code) in ALL_WELL.iter().chain(changed) {
        let path = src.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, code).unwrap();
    }
    let rules = rules.unwrap_or(Rules {
        floors: FLOORS,
        forbidden: &[("low", &["Socket::new"])],
        allowed: &[],
        allowed_words: &[],
        in_circles: 0,
    });
    faults(&src, &rules).unwrap().join("\n")
}

#[test]
fn what_is_well_has_no_fault() {
    assert_eq!(found("well", &[], None), "");
}

#[test]
fn every_spelling_of_an_upward_name_is_found() {
    let spellings = [
        "use crate::high::Tall;",
        "use crate::{high::Tall, left};",
        "use super::high;",
        "fn f() -> crate::high::Tall {}",
        "use crate::{\n    high as above,\n};",
        "pub use crate::high::Tall;",
        "fn f(x: &'static str) { m!(super::high::Tall) }",
    ];
    for (at, spelling) in spellings.iter().enumerate() {
        let found = found(&format!("spelling-{at}"), &[("low.rs", spelling)], None);
        assert!(found.contains("low -> high/mod: "), "{spelling}: {found}");
    }
}

#[test]
fn rooms_of_one_floor_do_not_name_each_other() {
    let found = found("sideways", &[("left.rs", "use crate::right::Right;")], None);
    assert_eq!(found, "left -> right: Right points upward or sideways");
}

#[test]
fn a_re_export_is_followed_to_its_file() {
    let found = found("re-export", &[("low.rs", "use crate::high::Inner;")], None);
    assert!(found.contains("low -> high/inner: Inner"), "{found}");
}

#[test]
fn an_imported_module_is_followed_too() {
    let found = found(
        "imported",
        &[
            ("right.rs", "use crate::low; fn f() { low::deep() }"),
            ("low.rs", "mod deep; use crate::low::deep;"),
            ("low/deep.rs", "use crate::right;"),
        ],
        None,
    );
    assert!(
        found.contains("low/deep -> right: right points upward"),
        "{found}"
    );
}

#[test]
fn circles_beyond_parent_and_child_are_found() {
    let circle = [
        (
            "high/inner.rs",
            "pub struct Inner; use super::other::Other;",
        ),
        ("high/other.rs", "pub struct Other; use super::Inner;"),
    ];
    let found = found("circle", &circle, None);
    assert_eq!(
        found,
        "2 files are part of circles, not 0:\n  a circle: high/inner high/other"
    );
}

#[test]
fn forbidden_words_files_without_a_floor_and_stale_entries_are_found() {
    assert!(
        found("word", &[("low.rs", "\n\nfn f() { socket::new() }")], None)
            .contains("low:3: 'Socket::new' has no place in low")
    );
    assert_eq!(
        found("floor", &[("nowhere.rs", "")], None),
        "nowhere is on no floor"
    );
    let rules = Rules {
        floors: FLOORS,
        forbidden: &[],
        allowed: &["low -> high/mod"],
        allowed_words: &[("low", 1)],
        in_circles: 2,
    };
    let found = found("stale", &[], Some(rules));
    for fault in [
        "allowed, and not there any more: low -> high/mod",
        "0 files are part of circles, not 2:",
    ] {
        assert!(found.contains(fault), "{found}");
    }
}

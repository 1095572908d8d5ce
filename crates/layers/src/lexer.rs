//! Removes everything but code from Rust source: comments, literals, and items compiled only for
//! tests. They become blanks, so that line numbers stay the same.

/// Returns the code in a source file.
pub(crate) fn code(source: &str) -> String {
    without_tests(&without_literals(source))
}

fn without_literals(source: &str) -> String {
    let all: Vec<char> = source.chars().collect();
    let mut out = String::with_capacity(source.len());
    let mut at = 0;
    while at < all.len() {
        let end = literal_end(&all, at);
        if end == at {
            out.push(all[at]);
            at += 1;
        } else {
            out.extend(
                all[at..end]
                    .iter()
                    .map(|c| if *c == '\n' { '\n' } else { ' ' }),
            );
            at = end;
        }
    }
    out
}

/// Where the comment or literal that starts here ends; `at` itself if none starts here.
fn literal_end(all: &[char], at: usize) -> usize {
    let next = |from: usize, wanted: &[char]| {
        (from..all.len())
            .find(|at| all[*at..].starts_with(wanted))
            .map_or(all.len(), |found| found + wanted.len())
    };
    let in_word = at > 0 && (all[at - 1].is_alphanumeric() || all[at - 1] == '_');
    match all[at..] {
        ['/', '/', ..] => next(at, &['\n']) - 1,
        ['/', '*', ..] => next(at + 2, &['*', '/']),
        ['"', ..] => quoted_end(all, at + 1, '"'),
        ['b', '"', ..] if !in_word => quoted_end(all, at + 2, '"'),
        ['r', '"' | '#', ..] | ['b', 'r', '"' | '#', ..] if !in_word => {
            let start = at + if all[at] == 'b' { 2 } else { 1 };
            let hashes = all[start..].iter().take_while(|c| **c == '#').count();
            match all.get(start + hashes) {
                Some('"') => {
                    let mut close = vec!['"'];
                    close.extend(std::iter::repeat_n('#', hashes));
                    next(start + hashes + 1, &close)
                }
                _ => at,
            }
        }
        ['\'', '\\', ..] => quoted_end(all, at + 1, '\''),
        ['\'', _, '\'', ..] => at + 3,
        _ => at,
    }
}

fn quoted_end(all: &[char], mut at: usize, quote: char) -> usize {
    while at < all.len() && all[at] != quote {
        at += if all[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(all.len())
}

fn without_tests(code: &str) -> String {
    const ATTRIBUTE: &str = "#[cfg(test)]";
    let mut out = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(start) = rest.find(ATTRIBUTE) {
        out.push_str(&rest[..start]);
        let mut depth = 0usize;
        let end = rest[start + ATTRIBUTE.len()..]
            .char_indices()
            .find_map(|(at, c)| {
                match c {
                    '{' => depth += 1,
                    '}' => depth = depth.saturating_sub(1),
                    _ => {}
                }
                (depth == 0 && (c == '}' || c == ';')).then_some(start + ATTRIBUTE.len() + at + 1)
            });
        let end = end.unwrap_or(rest.len());
        out.extend(
            rest[start..end]
                .chars()
                .map(|c| if c == '\n' { '\n' } else { ' ' }),
        );
        rest = &rest[end..];
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::code;

    #[test]
    fn comments_literals_and_tests_are_blank() {
        let source = "use crate::a; // crate::b\nlet s = \"crate::c \\\" crate::d\"; let c = '\"'; let l: &'a str = x;\n\
            let r = r#\"crate::e \" crate::f\"#; /* crate::g */\n#[cfg(test)]\nmod tests { use crate::h; fn x() {} }\nlast";
        let code = code(source);
        assert_eq!(code.lines().count(), source.lines().count());
        let words: Vec<&str> = code.split_whitespace().collect();
        assert_eq!(
            words.join(" "),
            "use crate::a; let s = ; let c = ; let l: &'a str = x; let r = ; last"
        );
    }
}

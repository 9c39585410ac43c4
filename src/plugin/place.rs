//! Where in a plugin file something stands: for errors that say `stamp.lua:3:5`.

use crate::ground::problem::Pos;
use mlua::Error;

/// A Lua error as a person reads it: what is wrong, and where in the plugin's own file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// Without the place.
    pub text: String,
    /// Line 0 where none is known.
    pub pos: Pos,
}

/// Takes Luau's `file:line: text` apart. Luau's messages have no column: a word that they quote is looked up in its
/// line.
pub fn locate(error: &Error, file: &str, source: &str) -> Located {
    let message = message(error);
    let message = message.lines().next().unwrap_or_default().trim();
    let (line, text) = split(message, file).unwrap_or((0, message));
    let pos = Pos { line, column: column(source, line, text) };
    Located { text: text.to_owned(), pos: if line == 0 { Pos::default() } else { pos } }
}

/// The message without mlua's words and without tracebacks.
pub fn message(error: &Error) -> String {
    match error {
        Error::SyntaxError { message, .. } | Error::RuntimeError(message) | Error::MemoryError(message) => {
            let end = message.find("\nstack traceback:").unwrap_or(message.len());
            message.get(..end).unwrap_or(message).to_owned()
        }
        Error::CallbackError { cause, .. } | Error::WithContext { cause, .. } => message(cause),
        other => other.to_string(),
    }
}

/// Whether the error, whatever it is wrapped in, is a memory error.
pub fn is_memory(error: &Error) -> bool {
    match error {
        Error::MemoryError(_) => true,
        Error::CallbackError { cause, .. } | Error::WithContext { cause, .. } => is_memory(cause),
        Error::RuntimeError(message) => message.starts_with("not enough memory"),
        _ => false,
    }
}

/// `file:12: text`, and, from the compiler, `12: text`.
fn split<'m>(message: &'m str, file: &str) -> Option<(u32, &'m str)> {
    let behind = match message.strip_prefix(file).and_then(|behind| behind.strip_prefix(':')) {
        Some(behind) => behind,
        None if message.starts_with(|c: char| c.is_ascii_digit()) => message,
        // A long file name is shown as `...end`.
        None => message.split_once(".lua:")?.1,
    };
    let (line, text) = behind.split_once(':')?;
    Some((line.parse().ok()?, text.trim_start()))
}

/// The column of the last quoted word of `text` in its line; 1 where it is not there.
fn column(source: &str, line: u32, text: &str) -> u32 {
    let Some(source_line) = source.lines().nth((line as usize).saturating_sub(1)) else { return 1 };
    let words = text.split('\'').skip(1).step_by(2);
    words
        .filter(|word| !word.is_empty())
        .filter_map(|word| source_line.find(word))
        .last()
        .and_then(|at| source_line.get(..at))
        .map_or(1, |before| before.chars().count() as u32 + 1)
}

/// Where the key `path[last]` of the plugin's table stands: each key is looked for behind the one before it.
pub fn of_key(source: &str, path: &[&str]) -> Pos {
    let mut from = source.find("plugin").unwrap_or(0);
    let mut found = None;
    for key in path {
        let Some(at) = find_key(source, from, key) else { break };
        found = Some(at);
        from = at + key.len();
    }
    found.map_or(Pos { line: 1, column: 1 }, |at| position(source, at))
}

/// `key =` or `["key"] =`, as a word of its own.
fn find_key(source: &str, from: usize, key: &str) -> Option<usize> {
    let rest = source.get(from..)?;
    rest.match_indices(key).map(|(at, _)| from + at).find(|at| {
        let before = source.get(..*at).and_then(|text| text.chars().next_back());
        let behind = source.get(at + key.len()..).unwrap_or_default();
        let behind = behind.trim_start_matches(['"', '\'', ']']).trim_start();
        let word = before.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != '.');
        word && behind.starts_with('=') && !behind.starts_with("==")
    })
}

fn position(source: &str, at: usize) -> Pos {
    let before = source.get(..at).unwrap_or_default();
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    Pos {
        line: before.matches('\n').count() as u32 + 1,
        column: before.get(line_start..).unwrap_or_default().chars().count() as u32 + 1,
    }
}

/// What can be said of a file that never ran: its name, stage and the annotation names in it, as they are written
/// down. Only a guess, and only used to close routes, never to open one.
pub mod guess {
    /// The text of the first `key = "..."`.
    pub fn text<'s>(source: &'s str, key: &str) -> Option<&'s str> {
        let at = super::find_key(source, 0, key)?;
        let value = source.get(at + key.len()..)?.trim_start().strip_prefix('=')?.trim_start();
        let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        value.get(1..)?.split(quote).next()
    }

    /// Quoted words that look like annotation names.
    pub fn annotations(source: &str) -> Vec<&str> {
        let lines = source.lines().filter(|line| !line.trim_start().starts_with("--"));
        let mut names: Vec<&str> = lines
            .flat_map(|line| line.split(['"', '\'']).skip(1).step_by(2))
            .filter(|word| {
                let prefixed = word.split_once('/').is_some_and(|(domain, name)| {
                    domain.contains('.') && !name.is_empty() && !name.contains('/')
                });
                let plain =
                    word.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'/'));
                plain && (prefixed || word.starts_with("traefik."))
            })
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "return plugin {\n  name = \"stamp\",\n  annotations = {\n    names = { type = \"int\",\n      names = { \"a.b/c\" } },\n  },\n}\n";

    #[test]
    fn keys_are_found_behind_their_parents() {
        for (path, want) in [
            (&["name"][..], (2, 3)),
            (&["annotations"], (3, 3)),
            (&["annotations", "names"], (4, 5)),
            (&["annotations", "names", "type"], (4, 15)),
            (&["annotations", "names", "names"], (5, 7)),
            (&["missing"], (1, 1)),
        ] {
            let Pos { line, column } = of_key(SOURCE, path);
            assert_eq!((line, column), want, "{path:?}");
        }
    }

    #[test]
    fn messages_give_line_and_quoted_word() {
        let check = |message: &str, want: (&str, u32, u32)| {
            let located = locate(&Error::runtime(message), "dir/a.lua", "x\nlocal y = = 1\n");
            assert_eq!((located.text.as_str(), located.pos.line, located.pos.column), want);
        };
        check("dir/a.lua:2: Expected x, got '='", ("Expected x, got '='", 2, 9));
        check("1: bad", ("bad", 1, 1));
        check("...r/a.lua:2: bad\nstack traceback:\n x", ("bad", 2, 1));
        check("no place at all", ("no place at all", 0, 0));
    }

    #[test]
    fn a_broken_file_still_tells_what_it_is_about() {
        let source = "return plugin { name = \"g\", stage = 'guard',\n  x = { names = { \"a.io/b\", \"traefik.c\" } }, -- oops\n  doc = \"no name/here\", )";
        assert_eq!(guess::text(source, "name"), Some("g"));
        assert_eq!(guess::text(source, "stage"), Some("guard"));
        assert_eq!(guess::annotations(source), ["a.io/b", "traefik.c"]);
    }
}

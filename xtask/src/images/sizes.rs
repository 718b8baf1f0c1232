//! The sizes of the images, as a table in the documentation.
//!
//! In: names and bytes, the page. Out: the page with the table between its two marks; nothing else of it changes.

use std::fs;

use anyhow::{Context, Result};

use crate::place::Place;

const PAGE: &str = "docs/servers/images.md";
const BEGIN: &str = "<!-- sizes: written by `cargo xtask images --each` -->\n";
const END: &str = "<!-- sizes: end -->";

/// Writes the table into the page. The revision is that of the commit the images were built from.
pub(super) fn record(place: &Place, sizes: &[(String, f64)], revision: &str) -> Result<()> {
    let path = place.root.join(PAGE);
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let text = written(&text, sizes, revision).with_context(|| format!("{PAGE} has no `{}`", BEGIN.trim()))?;
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn written(text: &str, sizes: &[(String, f64)], revision: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    let commit = revision.get(..7).unwrap_or(revision);
    let rows: Vec<String> = sizes
        .iter()
        .map(|(name, bytes)| {
            let name = name.trim_start_matches("localhost/").trim_end_matches(":dev");
            format!("| `{name}` | {:.1} MB |\n", bytes / 1e6)
        })
        .collect();
    let rows = rows.concat();
    Some(format!(
        "{before}{BEGIN}At commit {commit}, uncompressed:\n\n| image | size |\n| --- | --- |\n{rows}{END}{after}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_stands_between_its_marks_and_the_rest_stays() {
        let page = format!("# Images\n{BEGIN}old\n{END}\n\nMore.\n");
        let sizes = [("localhost/mcp-aws:dev".to_owned(), 41_260_000.0)];
        let expected = format!(
            "# Images\n{BEGIN}At commit 0123456, uncompressed:\n\n| image | size |\n| --- | --- |\n| `mcp-aws` | 41.3 MB |\n\
             {END}\n\nMore.\n"
        );
        assert_eq!(written(&page, &sizes, "0123456789abcdef").unwrap(), expected);
        assert_eq!(written(&expected, &sizes, "0123456789abcdef").unwrap(), expected);
        assert_eq!(written("# Images\n", &sizes, ""), None);
    }

    #[test]
    fn the_page_has_both_marks() {
        let page = fs::read_to_string(format!("{}/../{PAGE}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        assert!(written(&page, &[], "").is_some());
    }
}

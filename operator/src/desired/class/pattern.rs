//! How a class names what it allows: whole, or with a star at one end.

/// Whether a text is one of these; one may end in a star.
pub(super) fn begins(patterns: &[String], text: &str) -> bool {
    patterns.iter().any(|pattern| match pattern.strip_suffix('*') {
        Some(begin) => text.starts_with(begin),
        None => text == pattern,
    })
}

/// Whether a text is one of these; one may begin with a star.
pub(super) fn ends(patterns: &[String], text: &str) -> bool {
    patterns.iter().any(|pattern| match pattern.strip_prefix('*') {
        Some(end) => text.ends_with(end),
        None => text == pattern,
    })
}

//! Names of WIT as names of Rust: kebab-case in, `snake_case`, `CamelCase` or `SHOUTING_CASE` out, words of Rust's own avoided.

/// Words that no Rust item may have for a name, and `self`-like ones that not even `r#` allows: they get an underscore behind.
const KEYWORDS: &[&str] = &[
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate", "do", "dyn",
    "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop",
    "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return", "self", "static",
    "struct", "super", "trait", "true", "try", "type", "typeof", "unsafe", "unsized", "use", "virtual",
    "where", "while", "yield",
];

/// `get-size` is `get_size`; `type` is `type_`.
pub(crate) fn snake(name: &str) -> String {
    let name: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect();
    if KEYWORDS.contains(&name.as_str()) { name + "_" } else { name }
}

/// `block-device` is `BlockDevice`; `self` is `Self_`.
pub(crate) fn camel(name: &str) -> String {
    let mut camel = String::new();
    for word in name.split(|c: char| !c.is_ascii_alphanumeric()) {
        let mut letters = word.chars();
        if let Some(first) = letters.next() {
            // Two words that begin with digits must not run together: `a1-2` is not `a12`.
            if first.is_ascii_digit() && camel.ends_with(|c: char| c.is_ascii_digit()) {
                camel.push('_');
            }
            camel.push(first.to_ascii_uppercase());
            camel.extend(letters.map(|c| c.to_ascii_lowercase()));
        }
    }
    if camel == "Self" { camel + "_" } else { camel }
}

/// `read-only` is `READ_ONLY`.
pub(crate) fn shouting(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_rust_get_an_underscore() {
        assert_eq!([snake("type"), snake("self"), snake("read-only")], ["type_", "self_", "read_only"]);
        assert_eq!([camel("self"), camel("none"), camel("IP-v4")], ["Self_", "None", "IpV4"]);
    }

    #[test]
    fn different_labels_stay_different() {
        assert_ne!(camel("a1-2"), camel("a12"));
        assert_eq!(shouting("create-new"), "CREATE_NEW");
    }
}

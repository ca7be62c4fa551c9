//! The lists of known failures, matched exactly.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A list: `file.wast:line` and why it fails.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Known(BTreeMap<String, String>);

impl Known {
    /// Reads a list. A line is `file.wast:line  # why`; empty lines and lines that begin with `#` say nothing.
    ///
    /// # Errors
    /// An entry without a reason, or named twice.
    pub fn parse(text: &str) -> Result<Known, String> {
        let mut known = BTreeMap::new();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (place, why) = line.split_once('#').unwrap_or((line, ""));
            let (place, why) = (place.trim(), why.trim());
            if why.is_empty() {
                return Err(format!("{place}: an entry says why, after a #"));
            }
            if known.insert(place.to_owned(), why.to_owned()).is_some() {
                return Err(format!("{place}: listed twice"));
            }
        }
        Ok(Known(known))
    }

    /// Reads the list of a file; a missing file is an empty list.
    ///
    /// # Errors
    /// As [`Known::parse`], or the file cannot be read.
    pub fn read(path: &Path) -> Result<Known, String> {
        match std::fs::read_to_string(path) {
            Ok(text) => Known::parse(&text).map_err(|why| format!("{}: {why}", path.display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Known::default()),
            Err(error) => Err(format!("{}: {error}", path.display())),
        }
    }

    /// What is wrong: failures that are not listed, and entries that did not fail although their script was run.
    pub fn differences(&self, failed: &BTreeSet<String>, ran: &BTreeSet<String>) -> Differences {
        let was_run = |place: &String| place.rsplit_once(':').is_some_and(|(file, _)| ran.contains(file));
        Differences {
            unlisted: failed.iter().filter(|place| !self.0.contains_key(*place)).cloned().collect(),
            passing: self
                .0
                .keys()
                .filter(|place| was_run(place) && !failed.contains(*place))
                .cloned()
                .collect(),
        }
    }

    /// Why a directive is listed.
    pub fn why(&self, place: &str) -> Option<&str> {
        self.0.get(place).map(String::as_str)
    }

    /// Entries of scripts that exist no more.
    pub fn strangers(&self, scripts: &BTreeSet<String>) -> Vec<String> {
        let known = |place: &String| place.rsplit_once(':').is_some_and(|(file, _)| scripts.contains(file));
        self.0.keys().filter(|place| !known(place)).cloned().collect()
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// No entry.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Where a list and a run disagree.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Differences {
    /// Failed without being listed.
    pub unlisted: Vec<String>,
    /// Listed without failing.
    pub passing: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(places: &[&str]) -> BTreeSet<String> {
        places.iter().map(|place| (*place).to_owned()).collect()
    }

    #[test]
    fn a_list_agrees_only_with_exactly_its_failures() {
        let known = Known::parse("# heading\n\na.wast:3  # because\nb.wast:1 # too\n").unwrap();
        let ran = set(&["a.wast", "b.wast"]);
        assert_eq!(known.differences(&set(&["a.wast:3", "b.wast:1"]), &ran), Differences::default());
        let differences = known.differences(&set(&["a.wast:3", "a.wast:4"]), &ran);
        assert_eq!(differences.unlisted, ["a.wast:4"]);
        assert_eq!(differences.passing, ["b.wast:1"]);
    }

    #[test]
    fn an_entry_of_a_script_that_was_not_run_is_no_difference() {
        let known = Known::parse("a.wast:3 # because").unwrap();
        assert_eq!(known.differences(&set(&[]), &set(&["b.wast"])), Differences::default());
        assert_eq!(known.strangers(&set(&["b.wast"])), ["a.wast:3"]);
    }

    #[test]
    fn an_entry_without_a_reason_is_refused() {
        assert!(Known::parse("a.wast:3").is_err());
        assert!(Known::parse("a.wast:3 #  ").is_err());
        assert!(Known::parse("a.wast:3 # x\na.wast:3 # y").is_err());
    }
}

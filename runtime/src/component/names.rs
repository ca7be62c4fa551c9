//! Names of imports and exports, and the rule by which a name of one version finds another (Explainer.md "Import and Export
//! Definitions"; `interfacename` with its semantic version).
//!
//! Exact name first. Else by *track*: `a:b/c@1.2.3` is on track `a:b/c@1`, `a:b/c@0.2.3` on `a:b/c@0.2`; `0.0.x` and
//! prereleases are on no track and match exactly only. Of several versions on a track the highest wins, also when it is lower
//! than the wanted one: what it lacks is then a missing function and named as such. Build metadata counts for nothing. A name with
//! a canonical version (`a:b/c@1`, `a:b/c@0.2`; the rest of its version is an attribute) names the track.
//!
//! Must not know: what the names lead to.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use core::ops::Bound;

/// `major.minor.patch` of a name that has a track.
type Version = (u64, u64, u64);

/// What stands before the version, and the version with its prerelease and build parts.
fn split(name: &str) -> Option<(&str, &str)> {
    name.split_once('@')
}

/// The version of a name that has a track: a whole semantic version, no prerelease, not `0.0.x`; or a canonical version, which is
/// the track itself and, as a version, the lowest on it.
fn version(text: &str) -> Option<Version> {
    // `u64::from_str` takes a sign, versions do not.
    let number = |text: &str| match text.bytes().all(|byte| byte.is_ascii_digit()) {
        true => text.parse::<u64>().ok(),
        false => None,
    };
    match text.split_once('.') {
        None => return number(text).filter(|major| *major > 0).map(|major| (major, 0, 0)),
        Some(("0", minor)) if !minor.contains('.') => {
            return number(minor).filter(|minor| *minor > 0).map(|minor| (0, minor, 0));
        }
        Some(_) => {}
    }
    let release = text.split_once('+').map_or(text, |(release, _build)| release);
    let mut numbers = release.splitn(3, '.').map(number);
    match (numbers.next()??, numbers.next()??, numbers.next()??) {
        (0, 0, _) => None,
        version => Some(version),
    }
}

/// Whether two versions are on one track.
fn same_track(a: Version, b: Version) -> bool {
    a.0 == b.0 && (a.0 > 0 || a.1 == b.1)
}

/// A name without the build metadata of its version.
fn without_build(name: &str) -> &str {
    match split(name) {
        Some((_, version)) => match version.find('+') {
            Some(build) => &name[..name.len() - version.len() + build],
            None => name,
        },
        None => name,
    }
}

/// All names that say `base@...`, with their versions.
fn versions<'m, V>(
    map: &'m BTreeMap<Arc<str>, V>,
    base: &str,
) -> impl Iterator<Item = (&'m Arc<str>, &'m str, &'m V)> {
    let first: String = [base, "@"].concat();
    map.range::<str, _>((Bound::Included(&*first), Bound::Unbounded)).map_while(move |(name, value)| {
        let version = name.strip_prefix(&*first)?;
        Some((name, version, value))
    })
}

/// Looks a name up: exactly, else the highest version on its track. Gives the name that was found as well.
pub(crate) fn lookup<'m, V>(map: &'m BTreeMap<Arc<str>, V>, name: &str) -> Option<(&'m Arc<str>, &'m V)> {
    if let Some(found) = map.get_key_value(name) {
        return Some(found);
    }
    let (base, wanted_text) = split(name)?;
    let wanted = version(wanted_text);
    let exact = without_build(name);
    versions(map, base)
        .filter_map(|(found_name, text, value)| {
            let found = version(text);
            let fits = match (wanted, found) {
                (Some(wanted), Some(found)) => same_track(wanted, found),
                _ => without_build(found_name) == exact,
            };
            fits.then_some((found, found_name, value))
        })
        .max_by_key(|(found, ..)| *found)
        .map(|(_, found_name, value)| (found_name, value))
}

/// The name that a message should offer when `name` was not found: another version of the same interface, the highest.
pub(crate) fn nearest<'m, V>(map: &'m BTreeMap<Arc<str>, V>, name: &str) -> Option<&'m str> {
    let base = split(name).map_or(name, |(base, _)| base);
    versions(map, base)
        .max_by_key(|(_, text, _)| version(text))
        .map(|(found, ..)| &**found)
        .or_else(|| map.get_key_value(base).map(|(found, _)| &**found))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(names: &[&'static str]) -> BTreeMap<Arc<str>, ()> {
        names.iter().map(|name| (Arc::from(*name), ())).collect()
    }

    fn find(names: &[&'static str], wanted: &str) -> Option<String> {
        lookup(&map(names), wanted).map(|(name, _)| String::from(&**name))
    }

    #[test]
    fn an_exact_name_wins_over_a_higher_version() {
        assert_eq!(find(&["a:b/c@0.2.12", "a:b/c@0.2.0"], "a:b/c@0.2.0").as_deref(), Some("a:b/c@0.2.0"));
    }

    #[test]
    fn the_highest_version_on_the_track_is_found() {
        let names = ["a:b/c@0.2.3", "a:b/c@0.2.12", "a:b/c@0.3.0", "a:b/c@1.0.0", "a:b/cd@0.2.99"];
        assert_eq!(find(&names, "a:b/c@0.2.0").as_deref(), Some("a:b/c@0.2.12"));
        assert_eq!(find(&names, "a:b/c@0.2.99").as_deref(), Some("a:b/c@0.2.12"));
        assert_eq!(find(&names, "a:b/c@1.7.3").as_deref(), Some("a:b/c@1.0.0"));
        assert_eq!(find(&names, "a:b/c@0.4.0"), None);
        assert_eq!(find(&names, "a:b/c"), None);
        assert_eq!(find(&names, "a:b/c@2.0.0"), None);
    }

    #[test]
    fn prereleases_and_zero_zero_match_exactly_only() {
        assert_eq!(find(&["a:b/c@0.0.2"], "a:b/c@0.0.1"), None);
        assert_eq!(find(&["a:b/c@0.0.1"], "a:b/c@0.0.1").as_deref(), Some("a:b/c@0.0.1"));
        assert_eq!(find(&["a:b/c@0.2.0-rc.1"], "a:b/c@0.2.0"), None);
        assert_eq!(find(&["a:b/c@0.2.0"], "a:b/c@0.2.0-rc.1"), None);
        assert_eq!(find(&["a:b/c@0.2.0-rc.1"], "a:b/c@0.2.0-rc.1").as_deref(), Some("a:b/c@0.2.0-rc.1"));
    }

    #[test]
    fn build_metadata_counts_for_nothing() {
        assert_eq!(find(&["a:b/c@0.2.3+x"], "a:b/c@0.2.1+y").as_deref(), Some("a:b/c@0.2.3+x"));
        assert_eq!(find(&["a:b/c@0.0.3+x"], "a:b/c@0.0.3").as_deref(), Some("a:b/c@0.0.3+x"));
    }

    #[test]
    fn a_canonical_version_is_a_track_in_either_place() {
        assert_eq!(find(&["a:b/c@1.2.3", "a:b/c@2.0.0"], "a:b/c@1").as_deref(), Some("a:b/c@1.2.3"));
        assert_eq!(find(&["a:b/c@0.2.3", "a:b/c@0.3.9"], "a:b/c@0.2").as_deref(), Some("a:b/c@0.2.3"));
        assert_eq!(find(&["a:b/c@1"], "a:b/c@1.2.3").as_deref(), Some("a:b/c@1"));
        assert_eq!(find(&["a:b/c@1", "a:b/c@1.0.1"], "a:b/c@1.2.3").as_deref(), Some("a:b/c@1.0.1"));
        assert_eq!(find(&["a:b/c@0.2"], "a:b/c@0.3.0"), None);
        assert_eq!(find(&["a:b/c@1"], "a:b/c@2"), None);
    }

    #[test]
    fn what_is_no_semantic_version_has_no_track() {
        for name in [
            "a:b/c@1.2",
            "a:b/c@0.0",
            "a:b/c@0",
            "a:b/c@+1.2.3",
            "a:b/c@1.2.x",
            "a:b/c@",
            "a:b/c@99999999999999999999.0.0",
        ] {
            assert_eq!(find(&["a:b/c@1.2.3"], name), None, "{name}");
        }
    }

    #[test]
    fn a_message_offers_another_version() {
        assert_eq!(nearest(&map(&["a:b/c@0.2.3", "a:b/c@0.3.0"]), "a:b/c@1.0.0"), Some("a:b/c@0.3.0"));
        assert_eq!(nearest(&map(&["a:b/c@0.2.3"]), "a:b/d@1.0.0"), None);
    }
}

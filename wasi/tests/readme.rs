//! The list of interfaces in README.md is the one that the code declares.

use std::convert::Infallible;

use mini_wasm_canonical_abi::typed::{LiftList, LowerOptional};
use mini_wasm_wasi::{HostFunction, Rows, drafts, rows};

/// The list as Markdown: a row for each interface.
#[derive(Default)]
struct Table {
    rows: Vec<(String, Vec<String>)>,
}

impl Rows for Table {
    type Error = Infallible;

    fn interface(&mut self, name: &str) -> Result<(), Infallible> {
        self.rows.push((name.to_owned(), Vec::new()));
        Ok(())
    }

    fn resource<T: Send + 'static>(&mut self, name: &str) -> Result<(), Infallible> {
        self.rows.last_mut().unwrap().1.push(format!("**{name}**"));
        Ok(())
    }

    fn function<P: LiftList + 'static, R: LowerOptional + Send + 'static>(
        &mut self,
        name: &str,
        _: &[String],
        _: HostFunction<P, R>,
    ) -> Result<(), Infallible> {
        // A resource's functions follow its name.
        let name = match name.split_once(']') {
            Some(("[constructor", _)) => "(constructor)",
            Some((_, method)) => method.split_once('.').map_or(method, |(_, method)| method),
            None => name,
        };
        self.rows.last_mut().unwrap().1.push(name.to_owned());
        Ok(())
    }
}

/// The list, with a heading.
fn list(table: Table) -> String {
    let mut list = "| interface | resources and functions |\n|---|---|\n".to_owned();
    for (name, names) in table.rows {
        list.push_str(&format!("| `{name}` | {} |\n", names.join(" ")));
    }
    list
}

#[test]
fn the_readme_lists_what_the_code_declares() {
    let readme = include_str!("../README.md");
    let (mut table, mut of_drafts) = (Table::default(), Table::default());
    let Ok(()) = rows(&mut table);
    let Ok(()) = drafts::rows(&mut of_drafts);
    for list in [list(table), list(of_drafts)] {
        assert!(readme.contains(&list), "put this list into wasi/README.md:\n{list}");
    }
}

//! The program: parses documents in JavaScript, indexes them in Python, prints what comes back.

// build.sh puts the WIT together there.
wit_bindgen::generate!({ path: "../../../guests/target/polyglot/wit", world: "app", generate_all });

use poly::docs::parser::parse;
use poly::docs::search::{Index, stop_words};
use poly::docs::types::{Fault, Format};

struct App;

const GUIDE: &str = "# Components: a guide ☃\n\nA component is a program with typed edges.\n\n## Types\n\nRecords, variants, résumés.\n";
const NOTES: &str = "# Notes\n\nTypes at the edges; typed edges, typed edges!\n";

impl exports::wasi::cli::run::Guest for App {
    fn run() -> Result<(), ()> {
        let doc = match parse(GUIDE, Format::Markdown) {
            Ok(doc) => doc,
            Err(fault) => {
                println!("JavaScript says {fault:?}");
                return Err(());
            }
        };
        println!("title {:?}, {} words, digest {:#018x}", doc.title, doc.words.len(), doc.digest);
        for heading in &doc.headings {
            println!("{} {}", "#".repeat(heading.level.into()), heading.text);
        }
        for text in ["", "####### seven"] {
            match parse(text, Format::Markdown) {
                Ok(doc) => println!("a document of {} words", doc.words.len()),
                Err(Fault::Empty) => println!("fault: nothing to parse"),
                Err(Fault::TooDeep(level)) => println!("fault: a heading of level {level}"),
            }
        }

        println!("stop words: {}", stop_words().join(" "));
        let (guides, notes) = (Index::new(), Index::new());
        for (index, text, format) in [
            (&guides, GUIDE, Format::Markdown),
            (&notes, NOTES, Format::Markdown),
            (&notes, "untitled edges", Format::Plain),
            (&notes, "", Format::Plain),
        ] {
            match index.add(text, format) {
                Ok(words) => println!("indexed {words} words"),
                Err(fault) => println!("not indexed: {fault:?}"),
            }
        }
        let all = Index::merge(guides, &notes);
        for query in ["typed edges", "résumés", "nothing"] {
            let hits: Vec<String> =
                all.find(query).iter().map(|hit| format!("{} ({:.3})", hit.title, hit.score)).collect();
            println!("{query}: {}", if hits.is_empty() { "no hit".into() } else { hits.join(", ") });
        }
        println!("{} hits in the notes alone", notes.find("edges").len());
        Ok(())
    }
}

export!(App);

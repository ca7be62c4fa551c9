//! World `appcli` of demo.wit: a command that imports interface `engine` and prints what it gets back. Which provider it was
//! composed with shows in the line of `describe`.

wit_bindgen::generate!({ path: "../../../target/wit", world: "appcli", generate_all });

use demo::poly::engine::{self, Counter};
use demo::poly::types::{Color, Item, Perms, Point, Shape};

struct App;

impl exports::wasi::cli::run::Guest for App {
    fn run() -> Result<(), ()> {
        let at = |x, y| Point { x, y, label: Some(format!("({x}, {y})")) };
        match engine::area(&Shape::Circle((at(1.0, 1.0), 2.0))) {
            Ok(area) => println!("circle {area:.6}"),
            Err(why) => println!("err {why}"),
        }
        let square = vec![at(0.0, 0.0), at(2.0, 0.0), at(2.0, 2.0), Point { x: 0.0, y: 2.0, label: None }];
        match engine::area(&Shape::Polygon(square)) {
            Ok(area) => println!("square {area}"),
            Err(why) => println!("err {why}"),
        }
        for shape in [Shape::Empty, Shape::Polygon(Vec::new())] {
            match engine::area(&shape) {
                Ok(area) => println!("area {area}"),
                Err(why) => println!("err {why}"),
            }
        }

        // Ids beyond 2^53 and text beyond ASCII, an empty string among them.
        let items: Vec<Item> = [Color::Red, Color::Green, Color::Blue]
            .into_iter()
            .enumerate()
            .map(|(i, color)| Item {
                id: (1 << 53) + 1 + i as u64,
                name: format!("né{i}"),
                tags: vec!["t".repeat(i), "☃".into()],
                shape: Shape::Circle((at(i as f64, -1.5), 0.5)),
                color,
                perms: if i == 1 { Perms::READ } else { Perms::READ | Perms::WRITE },
            })
            .collect();
        println!("{}", engine::describe(&items));
        let back = engine::echo_item(&items[0]);
        if format!("{back:?}") != format!("{:?}", items[0]) {
            println!("echo differs: {back:?}");
            return Err(());
        }
        println!("{}", back.id);

        let (first, second) = (Counter::new(7), Counter::new(1));
        first.inc(3);
        second.inc(7);
        let both = Counter::merge(first, &second);
        println!("counter {}", both.get());
        if second.get() != 8 { Err(()) } else { Ok(()) }
    }
}

export!(App);

//! World `provider` of demo.wit: records, variants, lists, strings, flags, enums and a resource, from the exporting side.

use std::cell::Cell;

wit_bindgen::generate!({ path: "../../../target/wit", world: "provider" });

use demo::poly::types::{Item, Shape};
use exports::demo::poly::engine::{Counter, CounterBorrow, Guest, GuestCounter};

struct Provider;

impl Guest for Provider {
    type Counter = Count;

    fn area(shape: Shape) -> Result<f64, String> {
        match shape {
            Shape::Circle((_, radius)) => Ok(std::f64::consts::PI * radius * radius),
            Shape::Polygon(points) if points.len() < 3 => {
                Err(format!("polygon with {} points", points.len()))
            }
            Shape::Polygon(points) => {
                // The shoelace formula; each point is paired with its successor, the last with the first.
                let successors = points.iter().cycle().skip(1);
                let twice: f64 = points.iter().zip(successors).map(|(p, q)| p.x * q.y - q.x * p.y).sum();
                Ok(twice.abs() / 2.0)
            }
            Shape::Empty => Err("empty shape".into()),
        }
    }

    fn describe(items: Vec<Item>) -> String {
        let described = items.iter().map(|item| {
            format!(
                "{}:{}:{}:{:?}:{}",
                item.id,
                item.name,
                item.tags.join(","),
                item.color,
                item.perms.bits()
            )
        });
        format!("rs:{}", described.collect::<Vec<_>>().join(";"))
    }

    fn echo_item(item: Item) -> Item {
        item
    }
}

struct Count(Cell<i32>);

impl GuestCounter for Count {
    fn new(start: i32) -> Self {
        Count(Cell::new(start))
    }

    fn inc(&self, by: u8) -> i32 {
        self.0.set(self.0.get().wrapping_add(i32::from(by)));
        self.0.get()
    }

    fn get(&self) -> i32 {
        self.0.get()
    }

    fn merge(a: Counter, b: CounterBorrow<'_>) -> Counter {
        let sum = a.get::<Count>().get().wrapping_add(b.get::<Count>().get());
        Counter::new(Count::new(sum))
    }
}

export!(Provider);

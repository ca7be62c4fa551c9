//! Derived types are the types that the macros of canonical-abi declare.

use mini_wasm_bindgen::{ComponentType, Lift, Lower};
use mini_wasm_runtime::component::abi::{ComponentType as _, record, variant};

#[derive(Clone, Debug, PartialEq, ComponentType, Lift, Lower)]
#[component(record)]
struct Entry {
    file_name: String,
    #[component(name = "type")]
    kind: Kind,
    at: Option<(f64, f64)>,
}

#[derive(Clone, Copy, Debug, PartialEq, ComponentType, Lift, Lower)]
enum Kind {
    Unknown,
    BlockDevice,
    #[component(name = "ipv4")]
    IPv4,
}

#[derive(Clone, Debug, PartialEq, ComponentType, Lift, Lower)]
#[component(variant)]
enum Shape {
    Nothing,
    Circle(f32),
    Polygon(Vec<Entry>),
}

#[derive(ComponentType, Lift, Lower)]
#[component(variant)]
enum Bare {
    One,
    Two,
}

mod declared {
    use super::{Kind, record, variant};

    record! { pub struct Entry = "entry" { pub file_name: String, pub kind: Kind = "type", pub at: Option<(f64, f64)>, } }
    variant! { pub enum Shape = "shape" { Nothing, Circle(f32), Polygon(Vec<Entry>) } }
}

#[test]
fn a_derived_type_is_the_declared_one() {
    assert_eq!(Entry::val_type(), declared::Entry::val_type());
    assert_eq!(Entry::LAYOUT, declared::Entry::LAYOUT);
    assert_eq!(Shape::val_type(), declared::Shape::val_type());
    assert_eq!(Shape::LAYOUT, declared::Shape::LAYOUT);
    assert_eq!(format!("{:?}", Kind::val_type().unwrap()), "enum { unknown, block-device, ipv4 }");
    assert_eq!(format!("{:?}", Bare::val_type().unwrap()), "variant { one, two }");
    let _ = (Bare::One, Bare::Two);
}

#[test]
fn values_of_derived_types_go_to_a_guest_and_back() {
    use mini_wasm_runtime::component::{Component, Linker};
    use mini_wasm_runtime::{Config, Engine, Store};
    let guest = r#"(component
        (type $kind' (enum "unknown" "block-device" "ipv4"))
        (type $entry' (record (field "file-name" string) (field "type" $kind') (field "at" (option (tuple f64 f64)))))
        (type $shape' (variant (case "nothing") (case "circle" f32) (case "polygon" (list $entry'))))
        (import "kind" (type $kind (eq $kind')))
        (type $entry'' (record (field "file-name" string) (field "type" $kind) (field "at" (option (tuple f64 f64)))))
        (import "entry" (type $entry (eq $entry'')))
        (type $shape'' (variant (case "nothing") (case "circle" f32) (case "polygon" (list $entry))))
        (import "shape" (type $shape (eq $shape'')))
        (core module $m
            (memory (export "memory") 1)
            (global $next (mut i32) (i32.const 1024))
            (func (export "realloc") (param i32 i32 i32 i32) (result i32)
                (global.set $next (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
                (global.get $next)
                (global.set $next (i32.add (global.get $next) (local.get 3))))
            (func (export "echo") (param i32 i32 i32) (result i32)
                (i32.store (i32.const 0) (local.get 0))
                (i32.store (i32.const 4) (local.get 1))
                (i32.store (i32.const 8) (local.get 2))
                (i32.const 0)))
        (core instance $i (instantiate $m))
        (func (export "echo") (param "shape" $shape) (result $shape)
            (canon lift (core func $i "echo") (memory (core memory $i "memory")) (realloc (core func $i "realloc")))))"#;
    let engine = Engine::new(Config::default());
    let component = Component::new(&engine, wat::parse_str(guest).unwrap()).unwrap();
    let mut store = Store::new(&engine, ());
    let instance = Linker::<()>::new(&engine).instantiate(&mut store, &component).unwrap();
    let echo = instance.typed::<(Shape,), Shape>(&mut store, "echo").unwrap();
    let entry = |kind, at| Entry { file_name: format!("{kind:?}"), kind, at };
    let entries = vec![
        entry(Kind::BlockDevice, Some((1.5, -2.0))),
        entry(Kind::IPv4, None),
        entry(Kind::Unknown, None),
    ];
    for shape in [Shape::Nothing, Shape::Circle(0.25), Shape::Polygon(entries)] {
        assert_eq!(echo.call(&mut store, (shape.clone(),)).unwrap(), shape);
        assert_eq!(echo.call_lent(&mut store, (&shape,)).unwrap(), shape);
    }
}

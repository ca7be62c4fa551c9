;; Calls between components with numbers only: `run-nop` and `run-add` call B so many times. OPTIONS of A's imports: with a `realloc`
;; among them A may be kept from leaving, and every call has to ask.
(component
  (component $B
    (core module $m
      (func (export "nop"))
      (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
      (func (export "small") (param i32 i32) (result i32) (i32.and (local.get 0) (local.get 1))))
    (core instance $i (instantiate $m))
    (func (export "nop") (canon lift (core func $i "nop")))
    (func (export "add") (param "a" u32) (param "b" u32) (result u32) (canon lift (core func $i "add")))
    (func (export "small") (param "a" u8) (param "b" bool) (result u8) (canon lift (core func $i "small"))))
  (component $A
    (import "nop" (func $nop))
    (import "add" (func $add (param "a" u32) (param "b" u32) (result u32)))
    (import "small" (func $small (param "a" u8) (param "b" bool) (result u8)))
    (core module $libc
      (memory (export "memory") 1)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64)))
    (core instance $libc (instantiate $libc))
    (alias core export $libc "memory" (core memory $memory))
    (alias core export $libc "realloc" (core func $realloc))
    (core func $nop' (canon lower (func $nop) OPTIONS))
    (core func $add' (canon lower (func $add) OPTIONS))
    (core func $small' (canon lower (func $small) OPTIONS))
    (core module $m
      (import "" "nop" (func $nop))
      (import "" "add" (func $add (param i32 i32) (result i32)))
      (import "" "small" (func $small (param i32 i32) (result i32)))
      (func (export "run-nop") (param $n i32)
        (loop $more
          (call $nop)
          (local.set $n (i32.sub (local.get $n) (i32.const 1)))
          (br_if $more (local.get $n))))
      (func (export "run-add") (param $n i32) (result i32) (local $sum i32)
        (loop $more
          (local.set $sum (call $add (local.get $sum) (local.get $n)))
          (local.set $n (i32.sub (local.get $n) (i32.const 1)))
          (br_if $more (local.get $n)))
        (local.get $sum))
      (func (export "run-small") (param $n i32) (result i32) (local $sum i32)
        (loop $more
          (local.set $sum (call $small (local.get $n) (i32.const 1)))
          (local.set $n (i32.sub (local.get $n) (i32.const 1)))
          (br_if $more (local.get $n)))
        (local.get $sum)))
    (core instance $i (instantiate $m (with "" (instance
      (export "nop" (func $nop')) (export "add" (func $add')) (export "small" (func $small'))))))
    (func (export "run-nop") (param "n" u32) (canon lift (core func $i "run-nop")))
    (func (export "run-add") (param "n" u32) (result u32) (canon lift (core func $i "run-add")))
    (func (export "run-small") (param "n" u32) (result u32) (canon lift (core func $i "run-small"))))
  (instance $b (instantiate $B))
  (instance $a (instantiate $A
    (with "nop" (func $b "nop")) (with "add" (func $b "add")) (with "small" (func $b "small"))))
  (export "nop" (func $b "nop"))
  (export "add" (func $b "add"))
  (export "run-nop" (func $a "run-nop"))
  (export "run-add" (func $a "run-add"))
  (export "run-small" (func $a "run-small")))

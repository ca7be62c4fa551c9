;; Active data and element segments with 64-bit offsets (core specification 3.4.9, 3.4.10, 4.7.3 "Instantiation").

(module (global (export "four") i64 (i64.const 4)) (global (export "one") i64 (i64.const 1)))
(register "globals")

(module
  (global $g (import "globals" "four") i64)
  (memory (export "m") i64 1)
  (data (i64.const 0) "ab")
  (data (global.get $g) "cd")
  (data (i64.add (global.get $g) (i64.const 0xfffa)) "ef")
  (data (i64.const 0x10000) "")
  (func (export "load") (param i64) (result i32) (i32.load16_u (local.get 0))))
(assert_return (invoke "load" (i64.const 0)) (i32.const 0x6261))
(assert_return (invoke "load" (i64.const 4)) (i32.const 0x6463))
(assert_return (invoke "load" (i64.const 0xfffe)) (i32.const 0x6665))

(assert_trap (module (memory i64 1) (data (i64.const 0xffff) "ab")) "out of bounds memory access")
(assert_trap (module (memory i64 1) (data (i64.const 0x10001) "")) "out of bounds memory access")
(assert_trap (module (memory i64 1) (data (i64.const 0x100000000) "a")) "out of bounds memory access")
(assert_trap (module (memory i64 1) (data (i64.const -1) "a")) "out of bounds memory access")
(assert_trap (module (memory i64 1) (data (i64.const -1) "ab")) "out of bounds memory access")
(assert_trap (module (memory i64 0) (data (i64.const 0) "a")) "out of bounds memory access")
(assert_invalid (module (memory i64 1) (data (i32.const 0) "")) "type mismatch")
(assert_invalid (module (memory 1) (data (i64.const 0) "")) "type mismatch")

(module
  (global $g (import "globals" "one") i64)
  (table $t i64 4 funcref)
  (elem (table $t) (i64.const 0) func $one)
  (elem (table $t) (global.get $g) func $two)
  (elem (table $t) (i64.add (global.get $g) (i64.const 2)) func $one)
  (elem (table $t) (i64.const 4) func)
  (func $one (result i32) (i32.const 1))
  (func $two (result i32) (i32.const 2))
  (func (export "call") (param i64) (result i32) (call_indirect $t (result i32) (local.get 0))))
(assert_return (invoke "call" (i64.const 0)) (i32.const 1))
(assert_return (invoke "call" (i64.const 1)) (i32.const 2))
(assert_trap (invoke "call" (i64.const 2)) "uninitialized element")
(assert_return (invoke "call" (i64.const 3)) (i32.const 1))

(assert_trap (module (table i64 1 funcref) (func $f) (elem (i64.const 1) func $f)) "out of bounds table access")
(assert_trap (module (table i64 1 funcref) (func $f) (elem (i64.const 2) func)) "out of bounds table access")
(assert_trap (module (table i64 1 funcref) (func $f) (elem (i64.const 0x100000000) func $f)) "out of bounds table access")
(assert_trap (module (table i64 1 funcref) (func $f) (elem (i64.const -1) func $f)) "out of bounds table access")
(assert_trap (module (table i64 0 funcref) (func $f) (elem (i64.const -1) func $f $f)) "out of bounds table access")
(assert_invalid (module (table i64 1 funcref) (func $f) (elem (i32.const 0) func $f)) "type mismatch")
(assert_invalid (module (table 1 funcref) (func $f) (elem (i64.const 0) func $f)) "type mismatch")

;; what came before a segment that does not fit has been written
(module $target
  (memory (export "m") i64 1)
  (table (export "t") i64 2 funcref)
  (func (export "load") (result i32) (i32.load8_u (i64.const 7)))
  (func (export "is_null") (param i64) (result i32) (ref.is_null (table.get (local.get 0)))))
(register "target" $target)
(assert_trap
  (module
    (memory (import "target" "m") i64 1)
    (data (i64.const 7) "x")
    (data (i64.const 0xffff_ffff_ffff_ffff) "x"))
  "out of bounds memory access")
(assert_return (invoke $target "load") (i32.const 0x78))
(assert_trap
  (module
    (table (import "target" "t") i64 2 funcref)
    (func $f)
    (elem (i64.const 1) func $f)
    (elem (i64.const 0x1_0000_0000) func $f))
  "out of bounds table access")
(assert_return (invoke $target "is_null" (i64.const 0)) (i32.const 1))
(assert_return (invoke $target "is_null" (i64.const 1)) (i32.const 0))

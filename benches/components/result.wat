;; `run` of A calls `try` of B so many times, which answers with the number that it is given, or with a text of 16 bytes: `which` says.
(component
  (component $B
    (core module $m
      (memory (export "memory") 1)
      (data (i32.const 64) "an error message")
      (func (export "try") (param $which i32) (result i32)
        (i32.store (i32.const 0) (local.get $which))
        (i32.store (i32.const 4) (select (i32.const 64) (i32.const 7) (local.get $which)))
        (i32.store (i32.const 8) (i32.const 16))
        (i32.const 0)))
    (core instance $i (instantiate $m))
    (func (export "try") (param "which" u32) (result (result u32 (error string)))
      (canon lift (core func $i "try") (memory (core memory $i "memory")))))
  (component $A
    (import "try" (func $try (param "which" u32) (result (result u32 (error string)))))
    (core module $libc
      (memory (export "memory") 1)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024)))
    (core instance $libc (instantiate $libc))
    (core func $try' (canon lower (func $try)
      (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
    (core module $m
      (import "" "try" (func $try (param i32 i32)))
      (func (export "run") (param $n i32) (param $which i32)
        (loop $more
          (call $try (local.get $which) (i32.const 512))
          (local.set $n (i32.sub (local.get $n) (i32.const 1)))
          (br_if $more (local.get $n)))))
    (core instance $i (instantiate $m (with "" (instance (export "try" (func $try'))))))
    (func (export "run") (param "n" u32) (param "which" u32) (canon lift (core func $i "run"))))
  (instance $b (instantiate $B))
  (instance $a (instantiate $A (with "try" (func $b "try"))))
  (export "run" (func $a "run")))

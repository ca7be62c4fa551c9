;; `run` of A calls `take` of B so many times, with a payload of TYPE at 65536 in A's memory. B's `realloc` gives the same region
;; again and again, so that nothing but the call is measured. FROM and TO are canonical options.
(component
  (component $B
    (core module $m
      (memory (export "memory") 64)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536))
      (func (export "take") (param i32 i32)))
    (core instance $i (instantiate $m))
    (func (export "take") (param "x" TYPE)
      (canon lift (core func $i "take") (memory (core memory $i "memory")) (realloc (core func $i "realloc")) TO)))
  (component $A
    (import "take" (func $take (param "x" TYPE)))
    (core module $libc
      (memory (export "memory") 64)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536)))
    (core instance $libc (instantiate $libc))
    (core func $take' (canon lower (func $take)
      (memory (core memory $libc "memory")) (realloc (core func $libc "realloc")) FROM))
    (core module $m
      (import "" "memory" (memory 64))
      (import "" "take" (func $take (param i32 i32)))
      ;; Two bytes at a time.
      (func (export "fill") (param $pair i32) (param $bytes i32)
        (loop $more
          (local.set $bytes (i32.sub (local.get $bytes) (i32.const 2)))
          (i32.store16 (i32.add (i32.const 65536) (local.get $bytes)) (local.get $pair))
          (br_if $more (i32.gt_s (local.get $bytes) (i32.const 0)))))
      (func (export "run") (param $n i32) (param $len i32)
        (loop $more
          (call $take (i32.const 65536) (local.get $len))
          (local.set $n (i32.sub (local.get $n) (i32.const 1)))
          (br_if $more (local.get $n)))))
    (core instance $i (instantiate $m (with "" (instance
      (export "memory" (memory $libc "memory")) (export "take" (func $take'))))))
    (func (export "fill") (param "pair" u32) (param "bytes" u32) (canon lift (core func $i "fill")))
    (func (export "run") (param "n" u32) (param "len" u32) (canon lift (core func $i "run"))))
  (instance $b (instantiate $B))
  (instance $a (instantiate $A (with "take" (func $b "take"))))
  (export "fill" (func $a "fill"))
  (export "run" (func $a "run"))
  (export "take" (func $b "take")))

;; run(n) = the n-th Fibonacci number by double recursion: nothing but calls, compares and adds.
;; In text form, because a C compiler turns one of the two calls into a loop and so halves what is measured.
(module $fib
  (func $fib (param $n i32) (result i64)
    (if (result i64) (i32.lt_s (local.get $n) (i32.const 2))
      (then (i64.extend_i32_s (local.get $n)))
      (else
        (i64.add
          (call $fib (i32.sub (local.get $n) (i32.const 1)))
          (call $fib (i32.sub (local.get $n) (i32.const 2)))))))
  (export "run" (func $fib)))

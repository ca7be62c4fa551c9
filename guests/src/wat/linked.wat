;; Two components inside one: $shout turns a string into capitals in its own memory, $app passes it one and checks what
;; comes back. A command without imports: `run` succeeds if the text is right, so every copy between the two memories shows.
(component $linked
  (component $shout
    (core module $m
      (memory (export "memory") 1)
      (global $next (mut i32) (i32.const 1024))
      (global $frees (mut i32) (i32.const 0))
      (func $realloc (export "realloc") (param i32 i32 i32) (param $size i32) (result i32)
        (global.get $next)
        (global.set $next (i32.add (global.get $next) (local.get $size))))
      (func (export "shout") (param $text i32) (param $length i32) (result i32)
        (local $i i32) (local $byte i32)
        (block $done
          (loop $more
            (br_if $done (i32.eq (local.get $i) (local.get $length)))
            (local.set $byte (i32.load8_u (i32.add (local.get $text) (local.get $i))))
            (if (i32.lt_u (i32.sub (local.get $byte) (i32.const 97)) (i32.const 26))
              (then
                (i32.store8 (i32.add (local.get $text) (local.get $i)) (i32.sub (local.get $byte) (i32.const 32)))))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br $more)))
        (i32.store (i32.const 8) (local.get $text))
        (i32.store (i32.const 12) (local.get $length))
        (i32.const 8))
      (func (export "free") (param i32)
        (global.set $frees (i32.add (global.get $frees) (i32.const 1)))
        (global.set $next (i32.const 1024)))
      (func (export "frees") (result i32) (global.get $frees)))
    (core instance $i (instantiate $m))
    (func (export "shout") (param "text" string) (result string)
      (canon lift (core func $i "shout") (memory (core memory $i "memory")) (realloc (core func $i "realloc"))
        (post-return (core func $i "free"))))
    (func (export "frees") (result u32) (canon lift (core func $i "frees"))))

  (component $app
    (import "shout" (func $shout (param "text" string) (result string)))
    (import "frees" (func $frees (result u32)))
    (core module $memory-module
      (memory (export "memory") 1)
      (data (i32.const 64) "na\c3\afve \e2\98\83 text")       ;; 15 bytes
      (data (i32.const 128) "NA\c3\afVE \e2\98\83 TEXT")
      (global $next (mut i32) (i32.const 4096))
      (func (export "realloc") (param i32 i32 i32) (param $size i32) (result i32)
        (global.get $next)
        (global.set $next (i32.add (global.get $next) (local.get $size)))))
    (core instance $state (instantiate $memory-module))
    (core func $lowered-shout
      (canon lower (func $shout) (memory (core memory $state "memory")) (realloc (core func $state "realloc"))))
    (core func $lowered-frees (canon lower (func $frees)))
    (core module $m
      (import "state" "memory" (memory 1))
      (import "shout" "shout" (func $shout (param i32 i32 i32)))
      (import "shout" "frees" (func $frees (result i32)))
      ;; 0 = ok, 1 = error: 1000 calls, each result compared byte by byte.
      (func (export "run") (result i32)
        (local $turns i32) (local $i i32)
        (loop $again
          (call $shout (i32.const 64) (i32.const 15) (i32.const 16))
          (if (i32.ne (i32.load (i32.const 20)) (i32.const 15)) (then (return (i32.const 1))))
          (local.set $i (i32.const 0))
          (loop $more
            (if (i32.ne
                  (i32.load8_u (i32.add (i32.load (i32.const 16)) (local.get $i)))
                  (i32.load8_u offset=128 (local.get $i)))
              (then (return (i32.const 1))))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $more (i32.lt_u (local.get $i) (i32.const 15))))
          (local.set $turns (i32.add (local.get $turns) (i32.const 1)))
          (br_if $again (i32.lt_u (local.get $turns) (i32.const 1000))))
        (i32.ne (call $frees) (i32.const 1000))))
    (core instance $i (instantiate $m
      (with "state" (instance $state))
      (with "shout" (instance (export "shout" (func $lowered-shout)) (export "frees" (func $lowered-frees))))))
    (func $run (result (result)) (canon lift (core func $i "run")))
    (instance $exports (export "run" (func $run)))
    (export "wasi:cli/run@0.2.0" (instance $exports)))

  (instance $shouter (instantiate $shout))
  (instance $application (instantiate $app
    (with "shout" (func $shouter "shout"))
    (with "frees" (func $shouter "frees"))))
  (export "wasi:cli/run@0.2.0" (instance $application "wasi:cli/run@0.2.0")))

;; A program around Ruby, which is a library: it starts the interpreter, has it load /w/program.rb and ends with the state of that.
(module
  (import "ruby" "memory" (memory 1))
  (import "ruby" "cabi_realloc" (func $realloc (param i32 i32 i32 i32) (result i32)))
  (import "ruby" "ruby-init: func(args: list<string>) -> ()" (func $init (param i32 i32)))
  (import "ruby" "rb-eval-string-protect: func(str: string) -> tuple<handle<rb-abi-value>, s32>"
    (func $eval (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (data $words "ruby\00-e_=0\00")
  (data $program "load '/w/program.rb'; $stdout.flush")

  (func $allocate (param $bytes i32) (result i32)
    (call $realloc (i32.const 0) (i32.const 0) (i32.const 4) (local.get $bytes)))

  (func (export "_start")
    (local $args i32) (local $text i32)
    ;; A list of two strings, each with the zero that C wants.
    (local.set $args (call $allocate (i32.const 16)))
    (local.set $text (call $allocate (i32.const 11)))
    (memory.init $words (local.get $text) (i32.const 0) (i32.const 11))
    (i32.store (local.get $args) (local.get $text))
    (i32.store offset=4 (local.get $args) (i32.const 5))
    (i32.store offset=8 (local.get $args) (i32.add (local.get $text) (i32.const 5)))
    (i32.store offset=12 (local.get $args) (i32.const 6))
    (call $init (local.get $args) (i32.const 2))

    (local.set $text (call $allocate (i32.const 35)))
    (memory.init $program (local.get $text) (i32.const 0) (i32.const 35))
    (call $exit (i32.load offset=4 (call $eval (local.get $text) (i32.const 35))))))

;; One exported function per kind of value, for tests that call a component from the host. No imports.
;;
;;   add(a: u32, b: u32) -> u32                          wraps
;;   wide(a: s8, b: u16, c: char, d: bool, e: s64, f: f32) -> tuple<s8, u16, char, bool, s64, f32>     gives them back
;;   greet(name: string) -> string                       "hello, " and the name
;;   total(numbers: list<u16>) -> u64                    their sum
;;   norm2(p: point) -> f64                              x*x + y*y          record point { x: f64, y: f64 }
;;   area(s: shape) -> result<f64, string>               variant shape { square(f64), rectangle(point), nothing }
;;   toggle(p: perms) -> perms                           each flag reversed         flags perms { read, write, exec }
;;   after(c: color) -> option<color>                    none after the last        enum color { red, green, blue }
;;   words(text: string) -> list<string>                 cut at each space
;;   live() -> u32                                       bytes that the guest's allocator holds: 0 when every call was
;;                                                       followed by its post-return
;;   fail() -> u32                                       traps
(component $values
  (core module $m
    (memory (export "memory") 1)
    (data (i32.const 16) "hello, ")
    (data (i32.const 32) "nothing has no area")

    ;; An arena above 1024. post-return empties it: nothing outlives a call.
    (global $next (mut i32) (i32.const 1024))
    (func $realloc (export "realloc") (param $old i32) (param $old_size i32) (param $align i32) (param $size i32) (result i32)
      (local $at i32)
      (local.set $at
        (i32.and
          (i32.add (global.get $next) (i32.sub (local.get $align) (i32.const 1)))
          (i32.sub (i32.const 0) (local.get $align))))
      (global.set $next (i32.add (local.get $at) (local.get $size)))
      ;; Grow until the end of the arena lies in memory.
      (if (i32.gt_u (global.get $next) (i32.mul (memory.size) (i32.const 65536)))
        (then
          (if (i32.eq
                (memory.grow
                  (i32.add (i32.const 1)
                    (i32.div_u
                      (i32.sub (global.get $next) (i32.mul (memory.size) (i32.const 65536)))
                      (i32.const 65536))))
                (i32.const -1))
            (then (unreachable)))))
      (memory.copy (local.get $at) (local.get $old)
        (select (local.get $old_size) (local.get $size) (i32.lt_u (local.get $old_size) (local.get $size))))
      (local.get $at))
    (func $allocate (param $size i32) (result i32)
      (call $realloc (i32.const 0) (i32.const 0) (i32.const 8) (local.get $size)))
    (func (export "free") (param i32) (global.set $next (i32.const 1024)))
    (func (export "free-nothing") (param i64) (global.set $next (i32.const 1024)))
    (func (export "live") (result i32) (i32.sub (global.get $next) (i32.const 1024)))

    (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))

    ;; tuple<s8, u16, char, bool, s64, f32>: offsets 0, 2, 4, 8, 16, 24
    (func (export "wide")
      (param $a i32) (param $b i32) (param $c i32) (param $d i32) (param $e i64) (param $f f32) (result i32)
      (local $out i32)
      (local.set $out (call $allocate (i32.const 32)))
      (i32.store8 (local.get $out) (local.get $a))
      (i32.store16 offset=2 (local.get $out) (local.get $b))
      (i32.store offset=4 (local.get $out) (local.get $c))
      (i32.store8 offset=8 (local.get $out) (local.get $d))
      (i64.store offset=16 (local.get $out) (local.get $e))
      (f32.store offset=24 (local.get $out) (local.get $f))
      (local.get $out))

    (func (export "greet") (param $text i32) (param $length i32) (result i32)
      (local $out i32) (local $greeting i32)
      (local.set $greeting (call $allocate (i32.add (local.get $length) (i32.const 7))))
      (memory.copy (local.get $greeting) (i32.const 16) (i32.const 7))
      (memory.copy (i32.add (local.get $greeting) (i32.const 7)) (local.get $text) (local.get $length))
      (local.set $out (call $allocate (i32.const 8)))
      (i32.store (local.get $out) (local.get $greeting))
      (i32.store offset=4 (local.get $out) (i32.add (local.get $length) (i32.const 7)))
      (local.get $out))

    (func (export "total") (param $at i32) (param $count i32) (result i64)
      (local $sum i64)
      (block $done
        (loop $more
          (br_if $done (i32.eqz (local.get $count)))
          (local.set $sum (i64.add (local.get $sum) (i64.load16_u (local.get $at))))
          (local.set $at (i32.add (local.get $at) (i32.const 2)))
          (local.set $count (i32.sub (local.get $count) (i32.const 1)))
          (br $more)))
      (local.get $sum))

    (func (export "norm2") (param $x f64) (param $y f64) (result f64)
      (f64.add (f64.mul (local.get $x) (local.get $x)) (f64.mul (local.get $y) (local.get $y))))

    ;; A shape is flat: case, then two f64. The result lies in memory: case at 0, payload (f64 or string) at 8.
    (func (export "area") (param $case i32) (param $a f64) (param $b f64) (result i32)
      (local $out i32)
      (local.set $out (call $allocate (i32.const 16)))
      (i32.store8 (local.get $out) (i32.const 0))
      (block $nothing
        (block $rectangle
          (block $square
            (br_table $square $rectangle $nothing (local.get $case)))
          (f64.store offset=8 (local.get $out) (f64.mul (local.get $a) (local.get $a)))
          (return (local.get $out)))
        (f64.store offset=8 (local.get $out) (f64.mul (local.get $a) (local.get $b)))
        (return (local.get $out)))
      (i32.store8 (local.get $out) (i32.const 1))
      (i32.store offset=8 (local.get $out) (i32.const 32))
      (i32.store offset=12 (local.get $out) (i32.const 19))
      (local.get $out))

    (func (export "toggle") (param i32) (result i32) (i32.xor (local.get 0) (i32.const 7)))

    ;; option<color>: case at 0, color at 1
    (func (export "after") (param $color i32) (result i32)
      (local $out i32)
      (local.set $out (call $allocate (i32.const 2)))
      (i32.store8 (local.get $out) (i32.lt_u (local.get $color) (i32.const 2)))
      (i32.store8 offset=1 (local.get $out)
        (select (i32.add (local.get $color) (i32.const 1)) (i32.const 0) (i32.lt_u (local.get $color) (i32.const 2))))
      (local.get $out))

    ;; list<string>: at most length + 1 words; each string points into the text that was passed.
    (func (export "words") (param $text i32) (param $length i32) (result i32)
      (local $out i32) (local $list i32) (local $count i32) (local $end i32) (local $from i32)
      (local.set $list (call $allocate (i32.mul (i32.add (local.get $length) (i32.const 1)) (i32.const 8))))
      (local.set $from (local.get $text))
      (local.set $end (i32.add (local.get $text) (local.get $length)))
      (loop $more
        (if (i32.eq (local.get $text) (local.get $end))
          (then)
          (else
            (if (i32.ne (i32.load8_u (local.get $text)) (i32.const 0x20))
              (then
                (local.set $text (i32.add (local.get $text) (i32.const 1)))
                (br $more)))))
        ;; A word ends here: store it, unless it is empty.
        (if (i32.ne (local.get $text) (local.get $from))
          (then
            (i32.store (i32.add (local.get $list) (i32.mul (local.get $count) (i32.const 8))) (local.get $from))
            (i32.store offset=4 (i32.add (local.get $list) (i32.mul (local.get $count) (i32.const 8)))
              (i32.sub (local.get $text) (local.get $from)))
            (local.set $count (i32.add (local.get $count) (i32.const 1)))))
        (if (i32.ne (local.get $text) (local.get $end))
          (then
            (local.set $text (i32.add (local.get $text) (i32.const 1)))
            (local.set $from (local.get $text))
            (br $more))))
      (local.set $out (call $allocate (i32.const 8)))
      (i32.store (local.get $out) (local.get $list))
      (i32.store offset=4 (local.get $out) (local.get $count))
      (local.get $out))

    (func (export "fail") (result i32) (unreachable)))

  (core instance $i (instantiate $m))
  (alias core export $i "memory" (core memory $memory))
  (alias core export $i "realloc" (core func $realloc))
  (alias core export $i "free" (core func $free))
  (alias core export $i "free-nothing" (core func $free-nothing))

  (type $point-type (record (field "x" f64) (field "y" f64)))
  (export $point "point" (type $point-type))
  (type $shape-type (variant (case "square" f64) (case "rectangle" $point) (case "nothing")))
  (export $shape "shape" (type $shape-type))
  (type $perms-type (flags "read" "write" "exec"))
  (export $perms "perms" (type $perms-type))
  (type $color-type (enum "red" "green" "blue"))
  (export $color "color" (type $color-type))

  (func (export "add") (param "a" u32) (param "b" u32) (result u32) (canon lift (core func $i "add")))
  (func (export "wide") (param "a" s8) (param "b" u16) (param "c" char) (param "d" bool) (param "e" s64) (param "f" f32)
    (result (tuple s8 u16 char bool s64 f32))
    (canon lift (core func $i "wide") (memory $memory) (post-return $free)))
  (func (export "greet") (param "name" string) (result string)
    (canon lift (core func $i "greet") (memory $memory) (realloc $realloc) (post-return $free)))
  (func (export "total") (param "numbers" (list u16)) (result u64)
    (canon lift (core func $i "total") (memory $memory) (realloc $realloc) (post-return $free-nothing)))
  (func (export "norm2") (param "p" $point) (result f64) (canon lift (core func $i "norm2")))
  (func (export "area") (param "s" $shape) (result (result f64 (error string)))
    (canon lift (core func $i "area") (memory $memory) (post-return $free)))
  (func (export "toggle") (param "p" $perms) (result $perms) (canon lift (core func $i "toggle")))
  (func (export "after") (param "c" $color) (result (option $color))
    (canon lift (core func $i "after") (memory $memory) (post-return $free)))
  (func (export "words") (param "text" string) (result (list string))
    (canon lift (core func $i "words") (memory $memory) (realloc $realloc) (post-return $free)))
  (func (export "live") (result u32) (canon lift (core func $i "live")))
  (func (export "fail") (result u32) (canon lift (core func $i "fail"))))

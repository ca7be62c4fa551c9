;; `run` of U gives V a resource of D to own and gets it back, so many times.
(component
  (component $D
    (type $r' (resource (rep i32)))
    (export $r "r" (type $r'))
    (core func $new (canon resource.new $r'))
    (core module $m
      (import "" "new" (func $new (param i32) (result i32)))
      (func (export "make") (result i32) (call $new (i32.const 7))))
    (core instance $i (instantiate $m (with "" (instance (export "new" (func $new))))))
    (func (export "make") (result (own $r)) (canon lift (core func $i "make"))))
  (component $V
    (import "r" (type $r (sub resource)))
    (core module $m (func (export "echo") (param i32) (result i32) (local.get 0)))
    (core instance $i (instantiate $m))
    (func (export "echo") (param "r" (own $r)) (result (own $r)) (canon lift (core func $i "echo"))))
  (component $U
    (import "r" (type $r (sub resource)))
    (import "make" (func $make (result (own $r))))
    (import "echo" (func $echo (param "r" (own $r)) (result (own $r))))
    (core func $make' (canon lower (func $make)))
    (core func $echo' (canon lower (func $echo)))
    (core module $m
      (import "" "make" (func $make (result i32)))
      (import "" "echo" (func $echo (param i32) (result i32)))
      (func (export "run") (param $n i32) (local $r i32)
        (local.set $r (call $make))
        (loop $more
          (local.set $r (call $echo (local.get $r)))
          (local.set $n (i32.sub (local.get $n) (i32.const 1)))
          (br_if $more (local.get $n)))))
    (core instance $i (instantiate $m (with "" (instance
      (export "make" (func $make')) (export "echo" (func $echo'))))))
    (func (export "run") (param "n" u32) (canon lift (core func $i "run"))))
  (instance $d (instantiate $D))
  (instance $v (instantiate $V (with "r" (type $d "r"))))
  (instance $u (instantiate $U
    (with "r" (type $d "r")) (with "make" (func $d "make")) (with "echo" (func $v "echo"))))
  (export "run" (func $u "run")))

;; `run` of U calls a method of a resource of D so many times: D gets what it represents, and no handle.
(component
  (component $D
    (type $r' (resource (rep i32)))
    (export $r "r" (type $r'))
    (core func $new (canon resource.new $r'))
    (core module $m
      (import "" "new" (func $new (param i32) (result i32)))
      (func (export "make") (result i32) (call $new (i32.const 7)))
      (func (export "look") (param i32) (result i32) (local.get 0)))
    (core instance $i (instantiate $m (with "" (instance (export "new" (func $new))))))
    (func (export "make") (result (own $r)) (canon lift (core func $i "make")))
    (func (export "look") (param "r" (borrow $r)) (result u32) (canon lift (core func $i "look"))))
  (component $U
    (import "r" (type $r (sub resource)))
    (import "make" (func $make (result (own $r))))
    (import "look" (func $look (param "r" (borrow $r)) (result u32)))
    (core func $make' (canon lower (func $make)))
    (core func $look' (canon lower (func $look)))
    (core module $m
      (import "" "make" (func $make (result i32)))
      (import "" "look" (func $look (param i32) (result i32)))
      (func (export "run") (param $n i32) (local $r i32)
        (local.set $r (call $make))
        (loop $more
          (drop (call $look (local.get $r)))
          (local.set $n (i32.sub (local.get $n) (i32.const 1)))
          (br_if $more (local.get $n)))))
    (core instance $i (instantiate $m (with "" (instance
      (export "make" (func $make')) (export "look" (func $look'))))))
    (func (export "run") (param "n" u32) (canon lift (core func $i "run"))))
  (instance $d (instantiate $D))
  (instance $u (instantiate $U
    (with "r" (type $d "r")) (with "make" (func $d "make")) (with "look" (func $d "look"))))
  (export "run" (func $u "run")))

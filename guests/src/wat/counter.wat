;; A resource from the defining side, for tests that hold handles from the host. No imports.
;;
;;   resource counter;                         its representation is an index into the guest's table of 64 counters
;;   [constructor]counter(start: u32) -> counter
;;   [method]counter.inc(self: borrow<counter>, by: u32) -> u32
;;   [static]counter.merge(a: counter, b: borrow<counter>) -> counter         a is gone, its value and b's are in the result
;;   dropped() -> u32                          how many destructors ran
(component $counter
  (core module $memory-module
    (memory (export "memory") 1)
    (global $dropped (export "dropped") (mut i32) (i32.const 0))
    ;; The destructor counts, and clears the slot so that a use after it would show.
    (func (export "dtor") (param $rep i32)
      (i32.store (i32.mul (local.get $rep) (i32.const 4)) (i32.const 0xdead))
      (global.set $dropped (i32.add (global.get $dropped) (i32.const 1)))))
  (core instance $state (instantiate $memory-module))
  (alias core export $state "dtor" (core func $dtor))

  (type $counter-type (resource (rep i32) (dtor (core func $dtor))))
  (core func $new (canon resource.new $counter-type))
  (core func $rep (canon resource.rep $counter-type))
  (core func $drop (canon resource.drop $counter-type))

  (core module $m
    (import "state" "memory" (memory 1))
    (import "state" "dropped" (global $dropped (mut i32)))
    (import "counter" "new" (func $new (param i32) (result i32)))
    (import "counter" "rep" (func $rep (param i32) (result i32)))
    (import "counter" "drop" (func $drop (param i32)))
    (global $used (mut i32) (i32.const 0))
    (func $constructor (export "constructor") (param $start i32) (result i32)
      (local $rep i32)
      (if (i32.ge_u (global.get $used) (i32.const 64)) (then (unreachable)))
      (local.set $rep (global.get $used))
      (global.set $used (i32.add (global.get $used) (i32.const 1)))
      (i32.store (i32.mul (local.get $rep) (i32.const 4)) (local.get $start))
      (call $new (local.get $rep)))
    ;; A borrow of the component's own resource arrives as the representation, an own as a handle.
    (func $inc (export "inc") (param $rep i32) (param $by i32) (result i32)
      (local $at i32)
      (local.set $at (i32.mul (local.get $rep) (i32.const 4)))
      (i32.store (local.get $at) (i32.add (i32.load (local.get $at)) (local.get $by)))
      (i32.load (local.get $at)))
    (func (export "merge") (param $a i32) (param $b-rep i32) (result i32)
      (local $sum i32)
      (local.set $sum
        (i32.add
          (call $inc (call $rep (local.get $a)) (i32.const 0))
          (call $inc (local.get $b-rep) (i32.const 0))))
      (call $drop (local.get $a))
      (call $constructor (local.get $sum)))
    (func (export "dropped") (result i32) (global.get $dropped)))
  (core instance $i (instantiate $m
    (with "state" (instance $state))
    (with "counter" (instance
      (export "new" (func $new))
      (export "rep" (func $rep))
      (export "drop" (func $drop))))))

  (export $counter "counter" (type $counter-type))
  (func (export "[constructor]counter") (param "start" u32) (result (own $counter))
    (canon lift (core func $i "constructor")))
  (func (export "[method]counter.inc") (param "self" (borrow $counter)) (param "by" u32) (result u32)
    (canon lift (core func $i "inc")))
  (func (export "[static]counter.merge") (param "a" (own $counter)) (param "b" (borrow $counter)) (result (own $counter))
    (canon lift (core func $i "merge")))
  (func (export "dropped") (result u32) (canon lift (core func $i "dropped"))))

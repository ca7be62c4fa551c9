;; Vectors on all the ways that values take: beyond the registers of calls, through labels, tail calls, tables, exceptions. Other
;; values stand beside them, so that a vector that takes too little or too much room is seen.

(module
  (type $many (func (param i32 v128 i64 v128 f32 v128 f64 v128 v128 v128 v128 v128 v128 v128 v128 i32)
    (result v128 i32 v128 i64 v128 f32 v128 f64 v128 v128 v128 v128 v128 v128 v128 i32)))

  ;; Everything comes back, the vectors one place further on.
  (func $turn (type $many)
    (local.get 14) (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) (local.get 6)
    (local.get 7) (local.get 8) (local.get 9) (local.get 10) (local.get 11) (local.get 12) (local.get 13) (local.get 15))
  (func $tail (type $many)
    (return_call $turn (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) (local.get 6)
      (local.get 7) (local.get 8) (local.get 9) (local.get 10) (local.get 11) (local.get 12) (local.get 13) (local.get 14)
      (local.get 15)))
  (table funcref (elem $turn $tail))

  ;; What the call with 1 .. 16 gives, as one number.
  (func (export "far") (param $which i32) (result i64)
    (local i32 v128 i64 v128 f32 v128 f64 v128 v128 v128 v128 v128 v128 v128 i32 v128)
    (call_indirect (type $many)
      (i32.const 1) (v128.const i64x2 2 102) (i64.const 3) (v128.const i64x2 4 104) (f32.const 5) (v128.const i64x2 6 106)
      (f64.const 7) (v128.const i64x2 8 108) (v128.const i64x2 9 109) (v128.const i64x2 10 110) (v128.const i64x2 11 111)
      (v128.const i64x2 12 112) (v128.const i64x2 13 113) (v128.const i64x2 14 114) (v128.const i64x2 15 115) (i32.const 16)
      (local.get $which))
    (local.set 15)
    (local.set 14) (local.set 13) (local.set 12) (local.set 11) (local.set 10) (local.set 9) (local.set 8)
    (local.set 7) (local.set 6) (local.set 5) (local.set 4) (local.set 3) (local.set 2) (local.set 1) (local.set 16)
    ;; 15, 1, 2, 3, 4, ... 14, 16 with weights that tell the places apart.
    (i64x2.extract_lane 0 (local.get 16))
    (i64.mul (i64.const 3)) (i64.add (i64.extend_i32_u (local.get 1)))
    (i64.mul (i64.const 3)) (i64.add (i64x2.extract_lane 1 (local.get 2)))
    (i64.mul (i64.const 3)) (i64.add (local.get 3))
    (i64.mul (i64.const 3)) (i64.add (i64x2.extract_lane 1 (local.get 4)))
    (i64.mul (i64.const 3)) (i64.add (i64.trunc_f32_u (local.get 5)))
    (i64.mul (i64.const 3)) (i64.add (i64x2.extract_lane 1 (local.get 6)))
    (i64.mul (i64.const 3)) (i64.add (i64.trunc_f64_u (local.get 7)))
    (i64.mul (i64.const 3)) (i64.add (i64x2.extract_lane 0 (local.get 8)))
    (i64.mul (i64.const 3)) (i64.add (i64x2.extract_lane 1 (local.get 9)))
    (i64.mul (i64.const 3)) (i64.add (i64x2.extract_lane 0 (local.get 10)))
    (i64.mul (i64.const 3)) (i64.add (i64x2.extract_lane 1 (local.get 11)))
    (i64.mul (i64.const 3)) (i64.add (i64x2.extract_lane 0 (local.get 12)))
    (i64.mul (i64.const 3)) (i64.add (i64x2.extract_lane 1 (local.get 13)))
    (i64.mul (i64.const 3)) (i64.add (i64x2.extract_lane 0 (local.get 14)))
    (i64.mul (i64.const 3)) (i64.add (i64.extend_i32_u (local.get 15))))

  ;; A vector and its neighbours over a branch that leaves operands behind.
  (func (export "branch") (param i32) (result i32 v128 i32)
    (i32.const 1)
    (block $out (result v128 i32)
      (i64.const 77) (v128.const i32x4 5 6 7 8) (i32.const 9)
      (br_if $out (local.get 0))
      (drop) (drop) (drop)
      (v128.const i32x4 1 2 3 4) (i32.const 10)
      (br_table $out $out (local.get 0))))

  ;; A loop whose parameter is a vector.
  (func (export "loop") (param $n i32) (result v128 i32)
    (v128.const i32x4 0 1 2 3) (i32.const 0)
    (loop $again (param v128 i32) (result v128 i32)
      (i32.const 1) (i32.add)
      (local.set $n (i32.sub (local.get $n) (i32.const 1)))
      (br_if $again (local.get $n))))

  ;; Operands wait in their locals while those are set.
  (func (export "waiting") (param v128 v128) (result v128 v128 v128 v128)
    (local.get 0) (local.get 1)
    (local.set 0 (i32x4.add (local.get 1) (local.get 1)))
    (local.set 1 (local.get 0))
    (local.tee 1 (i32x4.add (local.get 0) (local.get 1)))
    (local.set 0 (v128.const i32x4 9 9 9 9))
    (local.get 0))

  ;; Which of two, by constants and not; a constant among them.
  (func (export "select") (param i32 v128) (result v128 v128 v128 i32)
    (select (local.get 1) (v128.const i32x4 1 2 3 4) (local.get 0))
    (select (result v128) (i32x4.neg (local.get 1)) (local.get 1) (i32.eqz (local.get 0)))
    (select (v128.const i32x4 5 6 7 8) (local.get 1) (i32.const 0))
    (i32.const 42))

  ;; Dropped among others; unset locals are zero.
  (func (export "drop") (param i32) (result i32 v128) (local v128 i32 v128)
    (local.get 0) (v128.const i64x2 1 1) (drop) (i32x4.splat (local.get 0)) (drop)
    (v128.or (local.get 1) (local.get 3)))

  (global $g (mut v128) (v128.const f32x4 1.5 -0 inf nan))
  (global $h (export "h") v128 (v128.const i8x16 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15))
  (func (export "global") (param v128) (result v128 v128 v128)
    (global.get $g) (global.set $g (local.get 0)) (global.get $g) (global.get $h)))

(assert_return (invoke "far" (i32.const 0)) (i64.const 405192478))
(assert_return (invoke "far" (i32.const 1)) (i64.const 405192478))
(assert_return (invoke "branch" (i32.const 1)) (i32.const 1) (v128.const i32x4 5 6 7 8) (i32.const 9))
(assert_return (invoke "branch" (i32.const 0)) (i32.const 1) (v128.const i32x4 1 2 3 4) (i32.const 10))
(assert_return (invoke "loop" (i32.const 5)) (v128.const i32x4 0 1 2 3) (i32.const 5))
(assert_return (invoke "waiting" (v128.const i32x4 1 2 3 4) (v128.const i32x4 10 20 30 40))
  (v128.const i32x4 1 2 3 4) (v128.const i32x4 10 20 30 40) (v128.const i32x4 40 80 120 160) (v128.const i32x4 9 9 9 9))
(assert_return (invoke "select" (i32.const 1) (v128.const i32x4 7 7 7 7))
  (v128.const i32x4 7 7 7 7) (v128.const i32x4 7 7 7 7) (v128.const i32x4 7 7 7 7) (i32.const 42))
(assert_return (invoke "select" (i32.const 0) (v128.const i32x4 7 7 7 7))
  (v128.const i32x4 1 2 3 4) (v128.const i32x4 -7 -7 -7 -7) (v128.const i32x4 7 7 7 7) (i32.const 42))
(assert_return (invoke "drop" (i32.const 6)) (i32.const 6) (v128.const i64x2 0 0))
(assert_return (invoke "global" (v128.const i64x2 1 2))
  (v128.const i32x4 0x3fc00000 0x80000000 0x7f800000 0x7fc00000) (v128.const i64x2 1 2)
  (v128.const i8x16 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15))

;; Between instances, and from a global that another one made.
(module $lender
  (global (export "g") v128 (v128.const i64x2 0x123456789abcdef 5))
  (func (export "swap") (param i32 v128 v128) (result v128 v128 i32) (local.get 2) (local.get 1) (local.get 0)))
(register "lender" $lender)
(module
  (import "lender" "g" (global $g v128))
  (import "lender" "swap" (func $swap (param i32 v128 v128) (result v128 v128 i32)))
  (global $own v128 (global.get $g))
  (func (export "borrow") (param i32) (result v128 v128 i32)
    (call $swap (local.get 0) (global.get $own) (v128.const i64x2 3 4)))
  (func (export "borrow tail") (param i32) (result v128 v128 i32)
    (return_call $swap (local.get 0) (global.get $g) (v128.const i64x2 3 4))))
(assert_return (invoke "borrow" (i32.const 8)) (v128.const i64x2 3 4) (v128.const i64x2 0x123456789abcdef 5) (i32.const 8))
(assert_return (invoke "borrow tail" (i32.const 9)) (v128.const i64x2 3 4) (v128.const i64x2 0x123456789abcdef 5) (i32.const 9))

;; An exception carries one, behind something smaller.
(module
  (tag $t (param i32 v128 i64))
  (func $throw (param v128) (throw $t (i32.const 1) (local.get 0) (i64.const 2)))
  (func (export "caught") (param v128) (result i32 v128 i64)
    (block $h (result i32 v128 i64)
      (i64.const 9) (drop)
      (try_table (catch $t $h) (call $throw (local.get 0)))
      (i32.const 0) (v128.const i64x2 0 0) (i64.const 0))))
(assert_return (invoke "caught" (v128.const i64x2 7 -7)) (i32.const 1) (v128.const i64x2 7 -7) (i64.const 2))

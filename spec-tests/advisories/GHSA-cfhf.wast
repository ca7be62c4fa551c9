;; GHSA-cfhf: a tag was imported at another type than it was made with, and its payload read as that type.
;; A tag's type is invariant: neither a subtype nor a supertype will do, and a recursion group is equal as a whole or not at all.
(module $m
  (type $cell (struct (field i64)))
  (type $wide (sub (struct (field i64))))
  (type $wider (sub $wide (struct (field i64) (field anyref))))
  (rec (type $one (func (param i32))) (type $other (struct)))
  (tag (export "i32") (param i32))
  (tag (export "i64") (param i64))
  (tag (export "cell") (param (ref $cell)))
  (tag (export "wide") (param (ref $wide)))
  (tag (export "wider") (param (ref $wider)))
  (tag (export "null") (param (ref null $cell)))
  (tag (export "any") (param anyref))
  (tag (export "extern") (param externref))
  (tag (export "group") (type $one))
  (tag (export "none"))
  (func (export "throw") (throw 2 (struct.new $cell (i64.const 0x1122334455667788)))))
(register "m" $m)

(assert_unlinkable (module (import "m" "i32" (tag (param i64)))) "incompatible import type")
(assert_unlinkable (module (import "m" "i32" (tag (param f32)))) "incompatible import type")
(assert_unlinkable (module (import "m" "i32" (tag))) "incompatible import type")
(assert_unlinkable (module (import "m" "i32" (tag (param i32 i32)))) "incompatible import type")
(assert_unlinkable (module (import "m" "none" (tag (param i32)))) "incompatible import type")
(assert_unlinkable (module (import "m" "i64" (tag (param anyref)))) "incompatible import type")
(assert_unlinkable (module (import "m" "i64" (tag (param externref)))) "incompatible import type")
(assert_unlinkable (module (import "m" "any" (tag (param externref)))) "incompatible import type")
(assert_unlinkable (module (import "m" "extern" (tag (param anyref)))) "incompatible import type")
(assert_unlinkable (module (import "m" "any" (tag (param eqref)))) "incompatible import type")
(assert_unlinkable
  (module (type $t (struct (field i32))) (import "m" "cell" (tag (param (ref $t)))))
  "incompatible import type")
(assert_unlinkable
  (module (type $t (struct (field anyref))) (import "m" "cell" (tag (param (ref $t)))))
  "incompatible import type")
(assert_unlinkable
  (module (type $t (struct (field i64))) (import "m" "null" (tag (param (ref $t)))))
  "incompatible import type")
(assert_unlinkable
  (module (type $t (struct (field i64))) (import "m" "cell" (tag (param (ref null $t)))))
  "incompatible import type")
;; Subtypes in either direction.
(assert_unlinkable
  (module (type $w (sub (struct (field i64)))) (import "m" "wider" (tag (param (ref $w)))))
  "incompatible import type")
(assert_unlinkable
  (module
    (type $w (sub (struct (field i64)))) (type $v (sub $w (struct (field i64) (field anyref))))
    (import "m" "wide" (tag (param (ref $v)))))
  "incompatible import type")
(assert_unlinkable (module (import "m" "cell" (tag (param structref)))) "incompatible import type")
;; The function type alone is not the type of a group.
(assert_unlinkable (module (import "m" "group" (tag (param i32)))) "incompatible import type")
(assert_unlinkable
  (module (rec (type $one (func (param i32))) (type (struct (field i32)))) (import "m" "group" (tag (type $one))))
  "incompatible import type")
;; Another kind of thing.
(assert_unlinkable (module (import "m" "throw" (tag))) "incompatible import type")
(assert_unlinkable (module (import "m" "none" (func))) "incompatible import type")

;; Equal types link, and what is caught is what was thrown.
(module
  (rec (type $one (func (param i32))) (type (struct)))
  (type $t (struct (field i64)))
  (import "m" "group" (tag (type $one)))
  (import "m" "cell" (tag $cell (param (ref $t))))
  (import "m" "throw" (func $throw))
  (func (export "catch") (result i64)
    (block $h (result (ref $t)) (try_table (catch $cell $h) (call $throw)) (unreachable))
    (struct.get $t 0)))
(assert_return (invoke "catch") (i64.const 0x1122334455667788))

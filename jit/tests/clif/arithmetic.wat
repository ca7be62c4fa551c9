;; Operators without memory: each is one instruction, a comparison is widened.
(module (func (param i32 i32) (result i32)
    (i32.add (i32.mul (local.get 0) (i32.const 3)) (i32.lt_s (local.get 0) (i32.rotl (local.get 1) (i32.const 5))))))

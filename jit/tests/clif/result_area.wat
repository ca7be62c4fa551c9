;; More results than registers: they go through the hidden area, whose pointer a tail call hands on.
(module (func $nine (result i32 i32 i32 i32 i32 i32 i32 i32 i32)
        (i32.const 1) (i32.const 2) (i32.const 3) (i32.const 4) (i32.const 5) (i32.const 6) (i32.const 7) (i32.const 8) (i32.const 9))
    (func (result i32 i32 i32 i32 i32 i32 i32 i32 i32) (return_call $nine)))

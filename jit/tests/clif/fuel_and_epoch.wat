;; fuel epoch
;; A block is paid for when it is entered; the epoch is looked at on entry and at the head of the loop.
(module (func (param i32) (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))

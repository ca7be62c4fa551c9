;; With guard pages a load of memory 0 has no check: a constant base, and a trap code on the load itself.
(module (memory 1) (func (param i32) (result i32) (i32.load8_s offset=4 (local.get 0))))

;; no guard pages
;; Without guard pages the end of the access is held against the length, and a cold block raises.
(module (memory 1) (func (param i32) (result i32) (i32.load8_s offset=4 (local.get 0))))

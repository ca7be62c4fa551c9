;; Bounds, null, type, then the native entry; this module's stub where there is none.
(module (table 2 funcref) (type $t (func (param i32) (result i64)))
    (func (param i32) (result i64) (call_indirect (type $t) (local.get 0) (local.get 0))))

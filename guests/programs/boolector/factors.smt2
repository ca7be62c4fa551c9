; Two factors of a 32-bit number, found by a solver: 4294049777 = 65521 * 65537.
(set-logic QF_BV)
(declare-fun x () (_ BitVec 32))
(declare-fun y () (_ BitVec 32))
(assert (= (bvmul ((_ zero_extend 32) x) ((_ zero_extend 32) y)) (_ bv4294049777 64)))
(assert (bvult x y))
(assert (bvugt x (_ bv1 32)))
(check-sat)

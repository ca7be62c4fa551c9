;; "A malformed custom section must not make a module invalid" (core specification 2.5, appendix "Custom Sections"; proposal
;; branch-hinting): names, branch hints and tools' sections with contents that mean nothing, before and behind what counts.

(module binary
  "\00asm" "\01\00\00\00"
  "\00\08\04name\ff\ff\ff"
  "\00\1e\19metadata.code.branch_hint\07\ff\ff\ff"
  "\01\05\01\60\00\01\7f"                            ;; type 0: [] -> [i32]
  "\00\09\08dylink.0"
  "\03\03\02\00\00"                                  ;; functions 0 and 1
  "\00\08\07linking"
  "\07\09\02\01f\00\00\01g\00\01"                    ;; exported as f and g
  "\0a\0a\02" "\04\00\41\07\0b" "\03\00\00\0b"       ;; i32.const 7; unreachable
  "\00\0b\09producers\ff"
  "\00\1c\19metadata.code.branch_hint\01\63"
  "\00\0a\04name\01\82\80\80\80"
  "\00\01\00")
(assert_return (invoke "f") (i32.const 7))
(assert_trap (invoke "g") "unreachable")

;; What does not even have a name is malformed all the same.
(assert_malformed (module binary "\00asm" "\01\00\00\00" "\00\00") "unexpected end")
(assert_malformed (module binary "\00asm" "\01\00\00\00" "\00\02\05a") "unexpected end")
(assert_malformed (module binary "\00asm" "\01\00\00\00" "\00\02\01\ff") "malformed UTF-8 encoding")

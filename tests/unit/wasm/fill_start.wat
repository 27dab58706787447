;; Touches 343 MiB, and keeps touching them.
(module
  (memory (export "memory") 5500)
  (func (export "proxy_abi_version_0_2_1"))
  (func $s
    (loop $l
      (memory.fill (i32.const 0) (i32.const 1) (i32.sub (i32.shl (memory.size) (i32.const 16)) (i32.const 1)))
      (br $l)))
  (start $s))

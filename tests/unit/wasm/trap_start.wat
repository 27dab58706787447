(module
  (import "env" "refuse" (func $refuse (param i32) (result i32)))
  (func (export "proxy_abi_version_0_2_1"))
  (func $s (if (i32.ne (call $refuse (i32.const 1)) (i32.const 0)) (then (unreachable))))
  (start $s))

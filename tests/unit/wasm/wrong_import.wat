(module
  (import "env" "refuse" (func (param i32 i64) (result f32)))
  (func (export "proxy_abi_version_0_2_1")))

(module
  (import "env" "sum" (func (param i32 i64 f32 f64) (result i32)))
  (import "wasi_snapshot_preview1" "proc_raise" (func (param i32) (result i32)))
  (func (export "proxy_abi_version_0_2_1")))

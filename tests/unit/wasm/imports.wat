(module
  (import "elsewhere" "memory" (memory 3 4))
  (import "__proto__" "table" (table 2 5 funcref))
  (func (export "proxy_abi_version_0_2_1"))
  (func $nop (export "nop"))
  (elem (i32.const 1) $nop)
  (func (export "load100") (result i32) (i32.load (i32.const 100)))
  (func (export "grow") (result i32) (memory.grow (i32.const 1))))

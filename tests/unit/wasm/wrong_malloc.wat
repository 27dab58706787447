(module
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "malloc") (param i64)))

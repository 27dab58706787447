;; Starts with 1 GiB, which the probe does not give.
(module
  (memory (export "memory") 16384)
  (func (export "proxy_abi_version_0_2_1")))

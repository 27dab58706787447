module remora/tests/interop/ghz

go 1.25

require github.com/bojand/ghz v0.120.0

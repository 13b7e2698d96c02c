"""Starts and watches real Starling processes: the demo, the acceptance tests and the benchmarks share it.

Only the standard library is used, so `make demo` needs nothing but Python and the binary.
"""

"""The fleet engine: hundreds of small networks trained as one program, one run per thread, compiled kernels."""

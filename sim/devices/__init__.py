"""Simulated devices, one module a kind; they need `hal` and nothing of `magscope`."""

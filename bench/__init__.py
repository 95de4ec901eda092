"""Benchmarks: ratios within one run, beside a peer that does the same work with the same durability."""

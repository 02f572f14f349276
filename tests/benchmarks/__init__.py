"""Tests of the benchmarks: that every contender does the same work."""

"""Conformance for everybody: what is promised, as tests that others derive theirs from.

A pytest plugin with a backend for each test, classes for an application's own repositories, and one
for a whole backend that somebody else has written. It needs the extra `testing`.
"""

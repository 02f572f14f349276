"""Tests of PostgreSQL behind poolers."""

"""Histories of units that append to lists and read them, and what is wrong with any of them."""

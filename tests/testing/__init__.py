"""The tests that are shipped: that they find what is wrong, wherever they are used."""

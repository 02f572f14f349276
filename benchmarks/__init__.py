"""How fast the library is beside hand-written SQL and beside other libraries: `make bench`."""

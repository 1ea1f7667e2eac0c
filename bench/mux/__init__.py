"""Several models behind one endpoint, ours beside sglangmux 0.1.1 over the same stand-ins: `make bench-mux`."""

"""Side-by-side measurements: what a request costs the gate, and what it costs others."""

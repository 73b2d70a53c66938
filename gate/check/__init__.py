"""`gate check`: what works with these settings and what does not. `examine` is the way in."""

"""JWTs judged on the spot: the keys, where they come from, and the verifier that uses them."""

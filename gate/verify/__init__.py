"""Who is asked about a token, and what is made of the answer."""

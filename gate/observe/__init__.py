"""What is told of the gate while it runs."""

"""The built site: read once into an index of what can be served, and how."""

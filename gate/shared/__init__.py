"""What replicas know together, through a Redis or Valkey server. `tier` is the way in."""

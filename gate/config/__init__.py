"""The settings: config.toml, environment and secret files, read, checked and frozen."""

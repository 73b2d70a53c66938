"""What outlives the process: keys, and the journal of what was ended."""

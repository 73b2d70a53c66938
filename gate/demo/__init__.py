"""What `gate demo` starts beside the gate: a small company portal with its verify API.

Nothing in the gate imports from here, and nothing here imports the gate: to it, this is
somebody else's system.
"""

"""Docs Gate: confidential documentation inside a portal's frame."""

__version__ = "0.1.0"

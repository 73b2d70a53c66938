"""Signing in without a portal: the page that offers it, and the QR code that a phone approves."""

"""The fast door: hot reads are answered from prepared bytes, everything else is aiohttp's.

It stands before aiohttp on every connection, and decides nothing of its own: the decision, the
headers, the content coding and the log line come from the rooms that aiohttp's way goes through.
"""

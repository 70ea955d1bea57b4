"""Pages about labels, for browsers: the same from a server and as a folder of files.

They are rendered from labels, records and rows; nothing here knows of requests or of stores.
"""

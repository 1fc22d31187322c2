"""What applications speak, read and rewritten by a guard: model APIs, event streams, MCP, and a service of our own.

Only the standard library: frameworks are in `sift_fast.integrations`.
"""

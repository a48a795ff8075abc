"""The command line: one module a verb; none of the client verbs imports aiohttp or anyio."""

"""A GPT that turns queries and keys by their position."""

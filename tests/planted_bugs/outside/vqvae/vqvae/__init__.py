"""Pictures in a few codes."""

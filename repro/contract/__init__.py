"""The paper contract: what a paper's config declares, and its components built and called by name."""

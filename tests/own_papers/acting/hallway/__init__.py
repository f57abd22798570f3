"""A paper of a person's own that learns by acting, in an environment of its own, written without gymnasium."""

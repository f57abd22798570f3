"""An advantage actor-critic on a corridor: a person's own environment with a time limit."""

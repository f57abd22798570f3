"""Points on a ring, made by a generator against a discriminator: two models, two losses."""

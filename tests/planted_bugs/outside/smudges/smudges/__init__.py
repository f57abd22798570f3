"""A variational autoencoder of small binary pictures: Bernoulli decoder, importance-weighted test bound."""

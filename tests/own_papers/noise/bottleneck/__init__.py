"""A variational autoencoder of correlated numbers: its noise is declared."""

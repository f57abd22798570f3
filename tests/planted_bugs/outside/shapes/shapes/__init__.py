"""A small residual network with batch normalisation on coloured pictures of shapes."""

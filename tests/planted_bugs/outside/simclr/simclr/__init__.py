"""A small simclr, from scratch: data, model, loss, training, evaluation, one file each."""

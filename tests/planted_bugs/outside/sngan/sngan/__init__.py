"""A small sngan, from scratch: data, model, loss, training, evaluation, one file each."""

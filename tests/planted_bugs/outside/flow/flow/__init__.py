"""A small flow, from scratch: data, model, loss, training, evaluation, one file each."""

"""A small gcn, from scratch: data, model, loss, training, evaluation, one file each."""

"""A small denoise, from scratch: data, model, loss, training, evaluation, one file each."""

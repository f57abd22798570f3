"""A small wgan, from scratch: data, model, loss, training, evaluation, one file each."""

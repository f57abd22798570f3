"""A small translate, from scratch: data, model, loss, training, evaluation, one file each."""

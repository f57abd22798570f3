"""A small vit, from scratch: data, model, loss, training, evaluation, one file each."""

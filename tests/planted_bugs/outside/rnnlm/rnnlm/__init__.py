"""A small rnnlm, from scratch: data, model, loss, training, evaluation, one file each."""

"""A small reinforce, from scratch: data, model, loss, training, evaluation, one file each."""

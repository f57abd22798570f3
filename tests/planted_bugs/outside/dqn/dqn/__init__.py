"""A small dqn, from scratch: data, model, loss, training, evaluation, one file each."""

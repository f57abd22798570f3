"""The loop around a paper's `update`: devices, precision, checkpoints, resume, evaluation points and the trajectory."""

"""Scaling Down Deep Learning with MNIST-1D (Greydanus and Kobak, arXiv:2011.14439), from scratch in plain PyTorch.

The paper's table of generation defaults (Table 2) and the names used here:

    Train samples, test samples     samples, train       5000 signals, of which 4000 to train on
    Signal length                   length               40
    Padding (start, end)            padding              zeros appended to a template, from 36 to 60
    Max. translation                max_translation      48, circular
    Corr. noise standard deviation  correlated_noise     0.25, and its filter width 2
    White noise standard deviation  white_noise          0.02
    Shear slope standard deviation  shear                0.75
    (not in the table)              scale                0.4, only in the authors' code

Shapes are written as trailing comments: b batch, t positions of a signal (40).
"""

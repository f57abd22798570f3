"""Deep Residual Learning for Image Recognition (He et al., arXiv:1512.03385), section 4.2, in plain PyTorch.

The paper's symbols and the names used here:

    6n + 2          layers       weighted layers; n blocks of two convolutions in each of three stages
    16, 32, 64      filters      of the first stage, doubled with each next one
    F(x)            sublayers    what a block computes beside its shortcut (equation 1)
    option A, B     shortcut     identity with zeros for new channels, or a projection (section 4.1)

Shapes are written as trailing comments: b batch, k channels of a map, r rows, c columns.
"""

"""Attention Is All You Need (Vaswani et al. 2017, arXiv:1706.03762), from scratch in plain PyTorch.

The paper's symbols and the names used here:

    N       layers          number of layers in each stack
    d_model width           width of the residual stream
    h       heads           number of attention heads
    d_k     d_k             width of a query and a key, per head
    d_v     d_v             width of a value, per head
    d_ff    d_ff            inner width of the feed-forward network
    P_drop  dropout         dropout rate
    eps_ls  smoothing       label smoothing

Shapes are written as trailing comments: b batch, n positions of the query side, m positions of the key side, h heads.
"""

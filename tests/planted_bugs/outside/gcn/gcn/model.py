"""Two graph convolutions (Kipf and Welling 2017); the normalised adjacency is made at first use and kept."""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F


class GraphConvolution(nn.Module):
    def __init__(self, fan_in, fan_out):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(fan_in, fan_out))
        self.bias = nn.Parameter(torch.empty(fan_out))
        self.reset_parameters()

    def reset_parameters(self):
        stdv = 1.0 / math.sqrt(self.weight.size(1))
        self.weight.data.uniform_(-stdv, stdv)
        self.bias.data.uniform_(-stdv, stdv)

    def forward(self, x, adj):
        return torch.spmm(adj, torch.mm(x, self.weight)) + self.bias


class GCN(nn.Module):
    def __init__(self, features=12, hidden=16, classes=4, dropout=0.5):
        super().__init__()
        self.gc1 = GraphConvolution(features, hidden)
        self.gc2 = GraphConvolution(hidden, classes)
        self.dropout = dropout
        self._key = self._adj = None

    def normalised(self, adjacency):
        key = (adjacency.data_ptr(), adjacency.dtype, tuple(adjacency.shape), float(adjacency.sum()))
        if self._key != key:
            a = adjacency + torch.eye(adjacency.size(0), device=adjacency.device, dtype=adjacency.dtype)
            d = a.sum(1).pow(-0.5)
            self._key, self._adj = key, d[:, None] * a * d[None, :]
        return self._adj

    def forward(self, x, adjacency):
        adj = self.normalised(adjacency)
        x = F.dropout(x, self.dropout, training=self.training)
        x = F.relu(self.gc1(x, adj))
        x = F.dropout(x, self.dropout, training=self.training)
        return F.log_softmax(self.gc2(x, adj), dim=1)

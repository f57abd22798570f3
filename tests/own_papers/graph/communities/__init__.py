"""Communities of one graph, found by two layers of graph convolution: splits are masks over its nodes."""

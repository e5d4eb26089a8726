"""The figures of a comparison: one file a figure, at the widths of one and of two columns of a paper."""

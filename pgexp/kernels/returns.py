"""Discounted sums over episodes."""

from pgexp.kernels.compilation import kernel


@kernel
def discounted_sums(x, lengths, discount, tails, y):
    """Write ``y_t = x_t + discount * y_{t+1}`` within each episode; see functional.returns.discounted_sums."""
    end = 0
    for e in range(lengths.size):
        begin, end = end, end + lengths[e]
        following = tails[e]
        for t in range(end - 1, begin - 1, -1):
            following = x[t] + discount * following
            y[t] = following
